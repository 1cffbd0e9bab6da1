package config

import (
	"testing"
	"testing/fstest"
)

func TestAvailableCPUs(t *testing.T) {
	file := func(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }
	for name, c := range map[string]struct {
		root     fstest.MapFS
		affinity int
		want     int
	}{
		"no cgroup":     {fstest.MapFS{}, 6, 6},
		"v2 no quota":   {fstest.MapFS{"proc/self/cgroup": file("0::/a\n"), "sys/fs/cgroup/a/cpu.max": file("max 100000\n")}, 6, 6},
		"v2 rounded up": {fstest.MapFS{"proc/self/cgroup": file("0::/a\n"), "sys/fs/cgroup/a/cpu.max": file("150000 100000\n")}, 6, 2},
		"v2 less than one CPU": {fstest.MapFS{
			"proc/self/cgroup": file("0::/a\n"), "sys/fs/cgroup/a/cpu.max": file("10000 100000\n"),
		}, 6, 1},
		"v2 the parent has less": {fstest.MapFS{
			"proc/self/cgroup":          file("0::/a/b\n"),
			"sys/fs/cgroup/a/b/cpu.max": file("400000 100000\n"),
			"sys/fs/cgroup/a/cpu.max":   file("300000 100000\n"),
		}, 6, 3},
		"v2 in a container": {fstest.MapFS{
			"proc/self/cgroup": file("0::/\n"), "sys/fs/cgroup/cpu.max": file("200000 100000\n"),
		}, 6, 2},
		"v2 outside of our namespace": {fstest.MapFS{
			"proc/self/cgroup": file("0::/../x\n"), "sys/fs/cgroup/cpu.max": file("200000 100000\n"),
		}, 6, 2},
		"v2 more than the affinity mask": {fstest.MapFS{
			"proc/self/cgroup": file("0::/a\n"), "sys/fs/cgroup/a/cpu.max": file("800000 100000\n"),
		}, 6, 6},
		"v1": {fstest.MapFS{
			"proc/self/cgroup": file("3:memory:/a\n2:cpu,cpuacct:/a\n"),
			"sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_quota_us":  file("250000\n"),
			"sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_period_us": file("100000\n"),
		}, 6, 3},
		"v1 only the mount's root is there": {fstest.MapFS{
			"proc/self/cgroup":                    file("2:cpu,cpuacct:/docker/x\n"),
			"sys/fs/cgroup/cpu/cpu.cfs_quota_us":  file("100000\n"),
			"sys/fs/cgroup/cpu/cpu.cfs_period_us": file("100000\n"),
		}, 6, 1},
		"v1 no quota": {fstest.MapFS{
			"proc/self/cgroup":                    file("2:cpu:/\n"),
			"sys/fs/cgroup/cpu/cpu.cfs_quota_us":  file("-1\n"),
			"sys/fs/cgroup/cpu/cpu.cfs_period_us": file("100000\n"),
		}, 6, 6},
		"nonsense": {fstest.MapFS{"proc/self/cgroup": file("x\n0::/a\n"), "sys/fs/cgroup/a/cpu.max": file("?\n")}, 6, 6},
	} {
		if got := availableCPUs(c.root, c.affinity); got != c.want {
			t.Errorf("%s: got %d, want %d", name, got, c.want)
		}
	}
}

func TestReactorsAreAtMostOnePerWorker(t *testing.T) {
	c := &Config{Workers: 1}
	resolveCounts(c)
	if c.Reactors != 1 {
		t.Errorf("one worker got %d reactors", c.Reactors)
	}
	c = &Config{Workers: 1, Reactors: 3}
	resolveCounts(c)
	if c.Reactors != 3 {
		t.Errorf("three reactors that were asked for became %d", c.Reactors)
	}
}
