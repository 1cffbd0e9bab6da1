"""Runs Django's tests with its `runtests.py`: the live server, and the test client, go through the server under test."""

from __future__ import annotations

import runpy
import sys
import unittest
from typing import Any

from django.test.runner import DiscoverRunner, iter_test_cases

import django_async
import django_client
import django_live
import report

django_live.install()
ways = [django_client.install(), django_async.install()]
results = report.Results(lambda: sum(way.live.requests for way in ways) + django_live.LiveServer.requests)


NOT_RUN = "see expected.toml"


class Result(unittest.TextTestResult):
    """A result that is told to `report` too."""

    def startTest(self, test: unittest.TestCase) -> None:
        super().startTest(test)
        results.begin()

    def stopTest(self, test: unittest.TestCase) -> None:
        super().stopTest(test)
        results.end(test.id())

    def addSuccess(self, test: unittest.TestCase) -> None:
        super().addSuccess(test)
        results.add(test.id(), "passed")

    def addError(self, test: unittest.TestCase, err: Any) -> None:
        super().addError(test, err)
        results.add(test.id(), "failed")

    def addFailure(self, test: unittest.TestCase, err: Any) -> None:
        super().addFailure(test, err)
        results.add(test.id(), "failed")

    def addSubTest(self, test: unittest.TestCase, subtest: unittest.TestCase, err: Any) -> None:
        super().addSubTest(test, subtest, err)
        if err is not None:
            results.add(test.id(), "failed")

    def addUnexpectedSuccess(self, test: unittest.TestCase) -> None:
        super().addUnexpectedSuccess(test)
        results.add(test.id(), "failed")

    def addSkip(self, test: unittest.TestCase, reason: str) -> None:
        super().addSkip(test, reason)
        results.add(test.id(), "not run" if reason == NOT_RUN else "skipped")

    def addExpectedFailure(self, test: unittest.TestCase, err: Any) -> None:
        super().addExpectedFailure(test, err)
        results.add(test.id(), "xfailed")


class Runner(DiscoverRunner):
    """Django's runner without the tests that are not to be run."""

    def get_resultclass(self) -> type[unittest.TextTestResult]:
        return Result

    def build_suite(self, *arguments: Any, **options: Any) -> unittest.TestSuite:
        suite = super().build_suite(*arguments, **options)
        django_live.install_single()
        not_run = report.not_to_run()
        for test in iter_test_cases(suite):
            if test.id() in not_run:
                setattr(test, test._testMethodName, unittest.skip(NOT_RUN)(lambda: None))
        return suite

    def run_suite(self, suite: unittest.TestSuite, **options: Any) -> unittest.TestResult:
        try:
            return super().run_suite(suite, **options)
        finally:
            for way in ways:
                way.stop()
            results.write()


if __name__ == "__main__":
    sys.argv = ["runtests.py", "--parallel=1", "--settings=test_sqlite", *sys.argv[1:]]
    sys.path.insert(0, ".")
    import django.test.runner

    django.test.runner.DiscoverRunner = Runner
    runpy.run_path("runtests.py", run_name="__main__")
