# SPDX-License-Identifier: GPL-2.0
# The records of bench.sh as tables.
function get(name) {
	return match(" " $0, " " name "=[^ ]*") ? substr($0, RSTART + length(name) + 1, RLENGTH - length(name) - 2) : ""
}
# As the goals say it: at most two in a hundred more than before. Less than 32 more walks, a few pages' worth, or one in ten million
# instructions, is nothing. What some
# of the workloads do depends on time, so it is the walks of one instruction that are compared.
function few(insns) { return 32 + insns / 10000000 }
function healed(fresh, fresh_insns, now, now_insns) { return now <= (1.02 * fresh + few(fresh_insns)) * now_insns / fresh_insns ? "yes" : "NO" }
function ratio(a, b) { return b > 0 ? sprintf("%.2f", a / b) : a > 0 ? "inf" : "-" }

function goal(what, bar, got, ok) { printf "%-58s %-14s %-24s %s\n", what, bar, got, ok ? "yes" : "NO" }
function worst_of(what, kernel,    i, w, f, h, r, worst) {
	for (i = 1; i <= works; i++) {
		w = work[i]
		if (what == "tables") { f = linear_tables["ours", w, "fresh"]; h = linear_tables[kernel, w, "healed"] }
		# What is few is nothing to divide by.
		else { f = (walks["ours", w, "fresh"] + few(insns["ours", w, "fresh"])) / insns["ours", w, "fresh"]; h = walks[kernel, w, "healed"] / insns[kernel, w, "healed"] }
		r = f > 0 ? h / f : 1
		if (r > worst) worst = r
	}
	return worst
}
function name_of(m,    part) {
	split(m, part, " ")
	return part[1] ", " part[2] " CPU" (part[2] > 1 ? "s, " : ", ") part[3] / 1024 " GiB"
}
# MiB in use on the machine of blocks, or of pages, at a moment
function used_mib(kernel, machine, at) {
	return ((kernel, machine, at) in used) ? sprintf("%.1f", used[kernel, machine, at] / 1024) : ""
}
function used_row(what, machine, at) {
	printf "%-58s %12s %16s\n", what, used_mib("base", machine, at), used_mib("ours", machine, at)
}
# Instructions of one table more, from one size of the machine to the next: the least and the most
function slopes(    i, d) {
	least = most = 0
	for (i = 2; i <= gibs; i++) {
		d = (all_ticks[gib[i]] - all_ticks[gib[i - 1]]) / (all_tables[gib[i]] - all_tables[gib[i - 1]])
		if (!least || d < least) least = d
		if (d > most) most = d
	}
}
function goals(    r, m, i, j, k, low, high, d) {
	print "\nThe goals"
	printf "%-58s %-14s %-24s %s\n", "", "bar", "measured", "met"
	if (works) {
		r = worst_of("walks", "ours")
		goal("walks of an instruction after healing, of fresh, at worst", "<= 1.02", sprintf("%.2f (unmodified %.1f)", r, worst_of("walks", "base")), r <= 1.02)
		r = worst_of("tables", "ours")
		goal("the linear map's tables after healing, of fresh, at worst", "<= 1.02", sprintf("%.3f (unmodified %.2f)", r, worst_of("tables", "base")), r <= 1.02)
	}
	if (costs) {
		r = mean["ours", "change"] / mean["base", "change"]
		goal("change of a page that stands alone, of unmodified", "<= 0.70", sprintf("%.2f", r), r <= 0.70)
		r = mean["ours", "first_change"] / mean["base", "first_change"]
		goal("first change in a block, of unmodified", "<= 0.50", sprintf("%.2f", r), r <= 0.50)
		r = mean["ours", "row_change"] / mean["base", "row_change"]
		goal("first change in another group of it, of unmodified", "<= 1.00", sprintf("%.2f", r), r <= 1)
	}
	if (("ours", "change") in pages) {
		r = pages["ours", "change"] / pages["base", "change"]
		goal("change without BBML3, of unmodified", "<= 1.00", sprintf("%.2f", r), r <= 1)
	}
	if (cpus) {
		r = shared["ours", "share_apart"]
		goal("lines shared by " cpus " CPUs, blocks in different gibibytes", "0", r " (unmodified " shared["base", "share_apart"] ")", r == 0)
	}
	if ("collapse_of_a_table_of_blocks" in suite) {
		r = suite["collapse_of_a_table_of_blocks"]
		goal("collapse of 1G of 2M blocks", "<= 6000", r, r <= 6000)
	}
	if (batches && "longest_batch" in suite)
		goal("what a change waits for: locks held at the most", "one batch", batch " of " suite["longest_batch"], batch <= suite["longest_batch"] + 0)
	if (repaint["base"] > 0) {
		r = repaint["ours"] / repaint["base"]
		goal("repaint of a mixed machine, of unmodified", "<= 0.50", sprintf("%.2f", r), r <= 0.50)
	}
	for (i = 1; i <= machines; i++) {
		m = machine[i]
		if (m ~ /^mixed/) continue
		r = boot["ours", m] / boot["base", m]
		goal("boot of " name_of(m) ", of unmodified", "<= 1.001", sprintf("%.4f", r), r <= 1.001)
	}
	for (j = 1; j <= nr_mibs; j++)
		for (i = 64; i <= most_blocks; i *= 2) {
			k = mibs[j] SUBSEP i
			if (!(k in heal)) continue
			d = (heal[k] - heal[mibs[j], 1]) / (i - 1)
			if (!low || d < low) low = d
			if (d > high) high = d
		}
	if (high) goal("collapse of one of 64 to " most_blocks " 2M blocks, 2 to 16 GiB", "<= 3000", sprintf("%.0f to %.0f", low, high), high <= 3000)
	if (high) goal("... does not depend on how many, nor on the memory", "<= 1.3", sprintf("%.2f", high / low), high <= 1.3 * low)
	if (("ours", "bbml3", "later") in used) {
		r = used["ours", "bbml3", "later"] / used["ours", "bbml3", "boot"]
		goal("memory in use once a map split all over has healed, of boot", "<= 1.01",
			sprintf("%.4f (unmodified %.3f)", r, used["base", "bbml3", "later"] / used["base", "bbml3", "boot"]), r <= 1.01)
	}
	if (gibs > 1) {
		slopes()
		goal("instructions for one table more, " gib[1] " to " gib[gibs] " GiB: a line", "<= 1.3", sprintf("%.0f to %.0f", least, most), most <= 1.3 * least)
	}
	print "(idle: make check STEPS=idle counts the wake-ups of a healed machine)"
}

$1 == "core" && !cores++ { core = get("core"); sizes = $0; sub(/^core core=[^ ]* /, "", sizes) }
$1 == "source" && get("core") == core { source = $0; sub(/.*text=/, "", source) }
$1 == "phase" && get("core") == core {
	k = get("kernel") SUBSEP get("work") SUBSEP get("at")
	walks[k] = get("walks"); refs[k] = get("refs"); insns[k] = get("insns")
	if (!(get("work") in seen)) { seen[get("work")] = 1; work[++works] = get("work") }
}
$1 == "phase" && get("core") != core {
	k = get("core") SUBSEP get("kernel") SUBSEP get("work") SUBSEP get("at")
	other[k] = get("walks"); other_insns[k] = get("insns")
	if (!(get("core") in other_core)) { other_core[get("core")] = 1; other_cores[++others] = get("core") }
}
$1 == "flushes" {
	k = get("kernel") SUBSEP get("at")
	tlbi[k] = get("tlbi") + get("tlbi_range") + get("tlbi_all"); dsb[k] = get("dsb")
}
$1 == "map" && get("core") == core {
	k = get("kernel") SUBSEP get("work") SUBSEP get("at")
	linear_tables[k] = get("tables")
	leaves[k] = get("leaves"); tables[k] = get("tables") + get("other_tables")
	# What the workload itself has made in vmalloc space stays in any kernel.
	if (get("at") == "fresh") linear = get("tables")
	if (get("at") == "worked") tables[get("kernel"), get("work"), "fresh"] = linear + get("other_tables")
}
$1 == "cost" && get("machine") == "bbml3" {
	k = get("kernel") SUBSEP get("at")
	n[k] = get("n"); mean[k] = get("mean"); max[k] = get("max")
	if (!(get("at") in costed)) { costed[get("at")] = 1; cost[++costs] = get("at") }
}
$1 == "cost" && get("machine") == "nobbml3" { pages[get("kernel"), get("at")] = get("mean") }
$1 == "share" { shared[get("kernel"), get("at")] = get("shared"); cpus = get("cpus") }
$1 == "line" {
	k = get("kernel") SUBSEP get("at")
	# Of many in one line it is a lock that is written to.
	symbols = split(get("name"), symbol, "+")
	for (i = 1; i <= symbols; i++)
		if (symbol[i] != "-" && (symbols == 1 || symbol[i] ~ /lock/)) names[k] = names[k] (names[k] ? ", " : "") symbol[i]
}
$1 == "heal" {
	k = get("mib") SUBSEP get("blocks")
	heal[k] = get("ticks")
	if (!(get("mib") in healed_mib)) { healed_mib[get("mib")] = 1; mibs[++nr_mibs] = get("mib") }
	if (get("blocks") + 0 > most_blocks) most_blocks = get("blocks") + 0
}
$1 == "used" {
	used_gib = get("mib") / 1024; used_blocks[get("kernel")] = get("blocks")
	k = get("kernel") SUBSEP get("machine")
	for (i = split("boot split later", part, " "); i; i--)
		if (get(part[i] "_kib") != "") used[k, part[i]] = get(part[i] "_kib")
}
$1 == "healall" {
	g = get("gib") + 0; gib[++gibs] = g
	all_tables[g] = get("tables"); all_ticks[g] = get("ticks")
	all_line[g] = sprintf("%9d %9.1f %13d %10.0f %10.1f %10d %10d %8d", get("tables"), get("kib") / 1024, get("ticks"), get("ticks") / get("tables"),
		get("span") / 1000000, get("wait"), get("lock"), get("alone"))
}
$1 == "batch" { batch = get("max") + 0; batches = get("calls") }
$1 == "boot" {
	m = get("machine") " " get("cpus") " " get("mib")
	if (!(("base", m) in boot) && !(("ours", m) in boot)) machine[++machines] = m
	boot[get("kernel"), m] = get("insns")
}
$1 == "repaint" { repaint[get("kernel")] = get("max") }
$1 == "kunit" {
	name = get("at"); gsub(/_/, " ", name); kunit[++kunits] = sprintf("%-48s %9d", name, get("ticks"))
	suite[get("at")] = get("ticks")
}
$1 == "checked" { checked += get("walks") }

END {
	moments = split("fresh churned healed", moment, " ")
	if (works) {
		print "\nKernel TLB walks of each workload: before any split (but behind a round of memfd_create()), after one of memfd_secret(), two seconds later"
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
		print "\nLeaves of the linear map, and all of the kernel's page-table pages (tables; at first with those of vmalloc space that the work makes)"
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
	if (("ours", "change") in pages) {
		print "\nThe same where no CPU has BBML3 (mean): the linear map is made of pages"
		for (i = 1; i <= costs; i++)
			printf "%-16s %9d %9d   %s\n", cost[i], pages["base", cost[i]], pages["ours", cost[i]],
				ratio(pages["ours", cost[i]], pages["base", cost[i]])
	}
	if (nr_mibs) {
		print "\nInstructions to collapse N blocks, each with one page that was changed: all, and for each block but the first"
		print "(where RCU frees the tables before the last is looked at, that is in it)"
		printf "%-8s", "N"
		for (j = 1; j <= nr_mibs; j++) printf "   %12s %7s", mibs[j] / 1024 " GiB", ""
		print ""
		for (i = 1; i <= most_blocks; i *= 2) {
			printf "%-8d", i
			for (j = 1; j <= nr_mibs; j++) {
				k = mibs[j] SUBSEP i
				printf "   %12s %7s", (k in heal ? heal[k] : ""), (i > 1 && (k in heal) ? sprintf("%.0f", (heal[k] - heal[mibs[j], 1]) / (i - 1)) : "")
			}
			print ""
		}
	}
	if (used_gib) {
		printf "\nMemory in use on a machine of %d GiB, in MiB%16s %12s %16s\n", used_gib, "", "unmodified", "with the series"
		used_row("after boot, a map of blocks", "bbml3", "boot")
		used_row("after boot, a map of pages (no CPU has BBML3)", "nobbml3", "boot")
		used_row("a page was invalid in each block that is free, and is not", "bbml3", "later")
	}
	if (gibs) {
		print "\nA map split all over heals: what is given back, and instructions; of the worker that nobody hurries the virtual time (with its"
		print "delay of 500 ms), and the longest that a change took meanwhile, in instructions: of all, where no softirq came between, alone"
		printf "%-5s %9s %9s %13s %10s %10s %10s %10s %8s\n", "GiB", "tables", "MiB", "instructions", "of a table", "ms", "all", "locks", "alone"
		for (i = 1; i <= gibs; i++) printf "%-5d %s\n", gib[i], all_line[gib[i]]
	}
	if (cpus) {
		printf "\nCache lines that one CPU writes and another touches as %d CPUs change pages in blocks of their own\n", cpus
		for (i = 1; i <= 2; i++) {
			at = i == 1 ? "share_apart" : "share_same"
			for (j = 1; j <= 2; j++) {
				k = (j == 1 ? "base" : "ours") SUBSEP at
				printf "%-36s %-16s %4d  %s\n", (j > 1 ? "" : i == 1 ? "blocks in different gibibytes" : "blocks in one gibibyte"),
					j == 1 ? "unmodified" : "with the series", shared[k], names[k]
			}
		}
	}
	if (machines) printf "\n%-28s %12s %12s\n", "Instructions of a boot", "unmodified", "with the series"
	for (i = 1; i <= machines; i++) {
		m = machine[i]
		printf "%-28s %12d %12d %8.5f\n", name_of(m), boot["base", m], boot["ours", m], boot["ours", m] / boot["base", m]
	}
	if (repaint["base"] > 0)
		printf "%-28s %12d %12d %8.5f (the repaint, under stop_machine)\n", "", repaint["base"], repaint["ours"], repaint["ours"] / repaint["base"]
	goals()
	if (checked) printf "\n%d of the model's translations were compared with QEMU's: all agreed\n", checked
}
