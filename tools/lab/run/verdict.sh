# shellcheck shell=bash disable=SC2154
# Sourced by run.sh: why a run failed, by what its console says and how QEMU ended.

bad='Kernel panic|Oops|Internal error|WARNING:|\bBUG:|UBSAN:|KASAN:|KCSAN:|KFENCE:|[Cc]all trace:|leaked|kmemleak: .*suspected'
bad+='|INFO: rcu|rcu: INFO:|detected stall|possible (circular|recursive) locking|inconsistent lock state|suspicious RCU usage'
bad+='|blocked for more than|workqueue lockup|soft lockup|hard LOCKUP|Unable to handle kernel|messages dropped'
bad+='|^el2: (FAULT|error)'

# With -f a report of an allocation that failed, warn_alloc()'s, may have its call trace; whatever else it holds still counts.
without_reports() {
	if [ "$injected" ]; then
		awk '/ mode:0x.*nodemask=/ { near = 12 } near && /^Call trace:/ { near = 0; next } near { near-- } { print }'
	else
		cat
	fi
}

# The guest says when it crashes on purpose; that has an end when the next kernel begins.
without_crash() { sed '/^# lab: crash on purpose$/,/^Booting Linux on physical CPU/d'; }

# Why the run failed; nothing if it did not.
why() {
	local plan points failed
	# Behind this line a kernel marks its CPUs offline while they still run, and now and then warns of it (set_task_cpu()).
	sed '/^reboot: Power down/q' "$outdir/lines" | without_crash | without_reports | grep -m 1 -E "$bad" && return
	grep -m 1 -E '^el2: (FAULT|error)' "$outdir/lines" && return
	if [ "$status" = 124 ] || [ "$status" = 137 ]; then
		echo "hang: killed after $limit s; last line: $(grep -v '^$' "$outdir/lines" | tail -n 1)"
		return
	fi
	[ "$status" = 0 ] || { echo "QEMU ended with $status: $(head -n 1 "$outdir/qemu.log" 2>/dev/null)"; return; }
	plan=$(sed -n 's/^1\.\.\([0-9][0-9]*\)$/\1/p' "$outdir/lines" | tail -n 1)
	if [ -z "$plan" ]; then
		grep -m 1 '^# lab: failed' "$outdir/lines" || echo "no KTAP plan: the guest's init did not run"
		return
	fi
	failed=$(grep -m 1 '^not ok ' "$outdir/lines") && { echo "$failed"; return; }
	# KUnit's suites come before, as a KTAP document of their own; or one by one, when the guest asks for one.
	points=$(awk '/^KTAP version/ { n = 0 } /^ok 1 kernel_/ { next } /^ok / { n++ } END { print n + 0 }' "$outdir/lines")
	[ "$points" = "$plan" ] || { echo "$points of $plan results"; return; }
	grep -q '^# lab: done' "$outdir/lines" || { echo "the guest's init did not end"; return; }
	[ -z "$audit" ] || grep -q '^el2: audit: ' "$outdir/lines" || echo "the auditor did not come to its end"
}
