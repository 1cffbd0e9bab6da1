package config

import (
	"io/fs"
	"math"
	"os"
	"path"
	"runtime"
	"strconv"
	"strings"
)

// coresPerReactor: one reactor outruns several workers.
const coresPerReactor = 4

// resolveCounts fills in the counts that were left to us.
func resolveCounts(c *Config) {
	if c.Workers > 0 && c.Reactors > 0 {
		return
	}
	cpus := availableCPUs(os.DirFS("/"), runtime.NumCPU())
	if c.Workers == 0 {
		c.Workers = cpus
	}
	if c.Reactors == 0 {
		c.Reactors = min(c.Workers, (cpus+coresPerReactor-1)/coresPerReactor)
	}
}

// availableCPUs returns how many CPUs may be used: those of the affinity mask, or fewer if a cgroup's quota, rounded up, is less.
func availableCPUs(root fs.FS, affinity int) int {
	cpus := affinity
	for _, line := range lines(root, "proc/self/cgroup") {
		fields := strings.SplitN(line, ":", 3)
		if len(fields) != 3 {
			continue
		}
		if quota := cgroupQuota(root, fields[1], fields[2]); quota > 0 {
			cpus = min(cpus, int(math.Ceil(quota)))
		}
	}
	return max(cpus, 1)
}

// cgroupQuota returns the least quota, in CPUs, of a cgroup and those above it; 0: none. In a container the group's path is often
// not there, only the root of the mount, so every level is looked for.
func cgroupQuota(root fs.FS, controllers, group string) float64 {
	read, mount := quotaV2, "sys/fs/cgroup"
	switch {
	case hasController(controllers, "cpu"):
		read, mount = quotaV1, "sys/fs/cgroup/"+controllers
		if _, err := fs.Stat(root, mount); err != nil {
			mount = "sys/fs/cgroup/cpu"
		}
	case controllers != "":
		return 0
	}
	least := 0.0
	for {
		if quota := read(root, path.Join(mount, group)); quota > 0 && (least == 0 || quota < least) {
			least = quota
		}
		if group == "/" || group == "." || group == "" {
			return least
		}
		group = path.Dir(group)
	}
}

func hasController(list, name string) bool {
	for controller := range strings.SplitSeq(list, ",") {
		if controller == name {
			return true
		}
	}
	return false
}

// quotaV2 reads "max 100000" or "150000 100000".
func quotaV2(root fs.FS, dir string) float64 {
	fields := strings.Fields(strings.Join(lines(root, path.Join(dir, "cpu.max")), ""))
	if len(fields) != 2 {
		return 0
	}
	return ratio(fields[0], fields[1])
}

// quotaV1 reads two files; a quota of -1 is none.
func quotaV1(root fs.FS, dir string) float64 {
	quota := lines(root, path.Join(dir, "cpu.cfs_quota_us"))
	period := lines(root, path.Join(dir, "cpu.cfs_period_us"))
	if len(quota) == 0 || len(period) == 0 {
		return 0
	}
	return ratio(quota[0], period[0])
}

func ratio(quota, period string) float64 {
	q, err1 := strconv.ParseFloat(quota, 64)
	p, err2 := strconv.ParseFloat(period, 64)
	if err1 != nil || err2 != nil || q <= 0 || p <= 0 {
		return 0
	}
	return q / p
}

func lines(root fs.FS, name string) []string {
	data, err := fs.ReadFile(root, name)
	if err != nil {
		return nil
	}
	return strings.Split(strings.TrimSpace(string(data)), "\n")
}
