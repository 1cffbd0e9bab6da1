"""The wheel as installers read it."""

import base64
import csv
import hashlib
import io
import zipfile

import pytest

from wheelfile import Wheel

TAG = "cp311-cp311-linux_x86_64"


@pytest.fixture
def wheel():
    wheel = Wheel("awaitd-1.0", TAG)
    wheel.add(f"{wheel.scripts}/awaitd", b"\x7fELF", executable=True)
    wheel.add("awaitd/__init__.py", b"")
    wheel.add(f"{wheel.dist_info}/METADATA", b"Name: awaitd\n")
    return wheel


def test_every_file_is_in_the_record_with_its_hash_and_size(wheel, tmp_path):
    with zipfile.ZipFile(tmp_path / wheel.write(tmp_path)) as archive:
        record = io.StringIO(archive.read("awaitd-1.0.dist-info/RECORD").decode())
        rows = {name: (digest, size) for name, digest, size in csv.reader(record)}
        assert set(rows) == set(archive.namelist())
        assert rows.pop("awaitd-1.0.dist-info/RECORD") == ("", "")
        for name, (digest, size) in rows.items():
            content = archive.read(name)
            expected = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip("=")
            assert (digest, size) == (f"sha256={expected}", str(len(content)))


def test_only_the_server_is_executable(wheel, tmp_path):
    with zipfile.ZipFile(tmp_path / wheel.write(tmp_path)) as archive:
        modes = {info.filename: info.external_attr >> 16 for info in archive.infolist()}
    assert modes.pop("awaitd-1.0.data/scripts/awaitd") == 0o100755
    assert set(modes.values()) == {0o100644}


def test_the_metadata_comes_last(wheel, tmp_path):
    with zipfile.ZipFile(tmp_path / wheel.write(tmp_path)) as archive:
        inside = [name.startswith("awaitd-1.0.dist-info/") for name in archive.namelist()]
    assert inside == sorted(inside)


def test_the_name_and_the_wheel_file_carry_the_tag(wheel, tmp_path):
    name = wheel.write(tmp_path)
    assert name == f"awaitd-1.0-{TAG}.whl"
    with zipfile.ZipFile(tmp_path / name) as archive:
        assert f"Tag: {TAG}\n" in archive.read("awaitd-1.0.dist-info/WHEEL").decode()


def test_the_same_content_gives_the_same_bytes_in_any_order(tmp_path):
    names = ["b.py", "a.py", "c.py"]
    archives = []
    for order in (names, names[::-1]):
        wheel = Wheel("awaitd-1.0", TAG)
        for name in order:
            wheel.add(name, name.encode())
        archives.append((tmp_path / wheel.write(tmp_path)).read_bytes())
    assert archives[0] == archives[1]


@pytest.mark.parametrize(("epoch", "year"), [("1700000000", 2023), ("0", 1980)])
def test_source_date_epoch_is_the_time_of_every_file(wheel, tmp_path, monkeypatch, epoch, year):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", epoch)
    with zipfile.ZipFile(tmp_path / wheel.write(tmp_path)) as archive:
        assert {info.date_time[0] for info in archive.infolist()} == {year}
