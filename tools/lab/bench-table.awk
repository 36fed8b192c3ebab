# SPDX-License-Identifier: GPL-2.0
# The records of bench.sh as tables.
function get(name) {
	return match(" " $0, " " name "=[^ ]*") ? substr($0, RSTART + length(name) + 1, RLENGTH - length(name) - 2) : ""
}
# As the goals say it: at most two in a hundred more than before. Less than 32 more walks, a few pages' worth, is nothing. What some
# of the workloads do depends on time, so it is the walks of one instruction that are compared.
function healed(fresh, fresh_insns, now, now_insns) { return now <= (1.02 * fresh + 32) * now_insns / fresh_insns ? "yes" : "NO" }
function ratio(a, b) { return b > 0 ? sprintf("%.2f", a / b) : a > 0 ? "inf" : "-" }

$1 == "core" && !cores++ { core = get("core"); sizes = $0; sub(/^core core=[^ ]* /, "", sizes) }
$1 == "source" && get("core") == core { source = $0; sub(/.*text=/, "", source) }
$1 == "phase" && get("core") == core && get("work") != "cost" {
	k = get("kernel") SUBSEP get("work") SUBSEP get("at")
	walks[k] = get("walks"); refs[k] = get("refs"); insns[k] = get("insns")
	if (!(get("work") in seen)) { seen[get("work")] = 1; work[++works] = get("work") }
}
$1 == "phase" && get("core") != core && get("work") != "cost" {
	k = get("core") SUBSEP get("kernel") SUBSEP get("work") SUBSEP get("at")
	other[k] = get("walks"); other_insns[k] = get("insns")
	if (!(get("core") in other_core)) { other_core[get("core")] = 1; other_cores[++others] = get("core") }
}
$1 == "phase" && get("work") == "cost" {
	k = get("kernel") SUBSEP get("at")
	tlbi[k] = get("tlbi") + get("tlbi_range") + get("tlbi_all"); dsb[k] = get("dsb")
}
$1 == "map" && get("core") == core && get("work") != "cost" {
	k = get("kernel") SUBSEP get("work") SUBSEP get("at")
	leaves[k] = get("leaves"); tables[k] = get("tables") + get("other_tables")
}
$1 == "cost" {
	k = get("kernel") SUBSEP get("at")
	n[k] = get("n"); mean[k] = get("mean"); max[k] = get("max")
	if (!(get("at") in costed)) { costed[get("at")] = 1; cost[++costs] = get("at") }
}
$1 == "boot" { boot[get("kernel"), get("machine")] = get("insns") }
$1 == "repaint" { repaint[get("kernel")] = get("max") }
$1 == "kunit" { name = get("at"); gsub(/_/, " ", name); kunit[++kunits] = sprintf("%-48s %9d", name, get("ticks")) }
$1 == "checked" { checked += get("walks") }

END {
	moments = split("fresh churned healed", moment, " ")
	if (works) {
		print "\nKernel TLB walks of each workload: before any split, after memfd_secret() was at work, and two seconds later"
		printf "core %s: %s (%s)\n", core, sizes, source
		printf "%-12s %28s   %-28s %s\n", "", "unmodified", "  with the series", "  walks in 1000 instructions"
		printf "%-12s %8s %9s %9s   %8s %9s %9s   %7s %7s %7s  %s\n", "", "fresh", "churned", "healed", "fresh", "churned", "healed",
			"fresh", "base", "ours", "<= 1.02"
		for (i = 1; i <= works; i++) {
			w = work[i]
			printf "%-12s", w
			for (m = 1; m <= 3; m++) printf " %*d", (m > 1 ? 9 : 8), walks["base", w, moment[m]]
			printf "  "
			for (m = 1; m <= 3; m++) printf " %*d", (m > 1 ? 9 : 8), walks["ours", w, moment[m]]
			printf "   %7.3f %7.3f %7.3f  %s\n", 1000 * walks["ours", w, "fresh"] / insns["ours", w, "fresh"],
				1000 * walks["base", w, "healed"] / insns["base", w, "healed"],
				1000 * walks["ours", w, "healed"] / insns["ours", w, "healed"],
				healed(walks["ours", w, "fresh"], insns["ours", w, "fresh"], walks["ours", w, "healed"], insns["ours", w, "healed"])
		}
		print "\nLeaves of the linear map, and all of the kernel's page-table pages (tables)"
		printf "%-12s %28s   %-28s\n", "", "unmodified", "  with the series"
		printf "%-12s %8s %9s %9s   %8s %9s %9s\n", "", "fresh", "churned", "healed", "fresh", "churned", "healed"
		for (i = 1; i <= works; i++) {
			w = work[i]
			printf "%-12s", w
			for (m = 1; m <= 3; m++) printf " %*s", (m > 1 ? 9 : 8), leaves["base", w, moment[m]]
			printf "  "
			for (m = 1; m <= 3; m++) printf " %*s", (m > 1 ? 9 : 8), leaves["ours", w, moment[m]]
			printf "\n%-12s", "  tables"
			for (m = 1; m <= 3; m++) printf " %*s", (m > 1 ? 9 : 8), tables["base", w, moment[m]]
			printf "  "
			for (m = 1; m <= 3; m++) printf " %*s", (m > 1 ? 9 : 8), tables["ours", w, moment[m]]
			print ""
		}
	}
	for (o = 1; o <= others; o++) {
		c = other_cores[o]
		printf "\nKernel TLB walks with the TLBs of %s\n", c
		for (i = 1; i <= works; i++) {
			w = work[i]
			printf "%-12s", w
			for (m = 1; m <= 3; m++) printf " %*d", (m > 1 ? 9 : 8), other[c, "base", w, moment[m]]
			printf "  "
			for (m = 1; m <= 3; m++) printf " %*d", (m > 1 ? 9 : 8), other[c, "ours", w, moment[m]]
			printf "   %s\n", healed(other[c, "ours", w, "fresh"], other_insns[c, "ours", w, "fresh"],
				other[c, "ours", w, "healed"], other_insns[c, "ours", w, "healed"])
		}
	}
	if (costs) {
		print "\nInstructions of one change (mean, worst; TLBIs and DSBs of one), and ours to unmodified"
		printf "%-16s %32s   %-32s %s\n", "", "unmodified", "                 with the series", "ratio"
		printf "%-16s %9s %9s %6s %5s   %9s %9s %6s %5s\n", "", "mean", "worst", "TLBI", "DSB", "mean", "worst", "TLBI", "DSB"
		for (i = 1; i <= costs; i++) {
			printf "%-16s", cost[i]
			for (j = 1; j <= 2; j++) {
				k = (j == 1 ? "base" : "ours") SUBSEP cost[i]
				# A sample with a timer tick in it was made, too, but is not in n.
				printf " %9d %9d %6.0f %5.0f  ", mean[k], max[k], n[k] ? tlbi[k] / n[k] : 0, n[k] ? dsb[k] / n[k] : 0
			}
			print ratio(mean["ours", cost[i]], mean["base", cost[i]])
		}
		if (kunits) print "with the series, as its suite reports them (kernel_collapse.costs)"
		for (i = 1; i <= kunits; i++) printf "  %s\n", kunit[i]
	}
	split("bbml3 nobbml3 mixed", machine, " ")
	if (("base", "bbml3") in boot) print "\nInstructions of a boot, from reset to power-off"
	for (i = 1; i <= 3; i++) {
		m = machine[i]
		if (("base", m) in boot)
			printf "%-16s %12d %12d %8.5f\n", m, boot["base", m], boot["ours", m], boot["ours", m] / boot["base", m]
	}
	if (repaint["base"] > 0)
		printf "%-16s %12d %12d %8.5f (the repaint, under stop_machine)\n", "", repaint["base"], repaint["ours"], repaint["ours"] / repaint["base"]
	if (checked) printf "\n%d of the model's translations were compared with QEMU's: all agreed\n", checked
}
