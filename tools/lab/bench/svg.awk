# SPDX-License-Identifier: GPL-2.0
# The records of bench.sh as a picture: the linear map of both kernels as strips, one below the other as time passes, coloured by the
# size of the leaves; and the TLB walks of each workload.
function get(name) {
	return match(" " $0, " " name "=[^ ]*") ? substr($0, RSTART + length(name) + 1, RLENGTH - length(name) - 2) : ""
}
function text(x, y, s, more) { printf "<text x=\"%.1f\" y=\"%.1f\"%s>%s</text>\n", x, y, more ? " " more : "", s }
function rect(x, y, w, h, class) { printf "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" class=\"%s\"/>\n", x, y, w, h, class }

BEGIN {
	sizes = split("4K 64K 2M 32M 1G", size, " ")
	# Classes, so that the picture can be on a dark ground, too.
	class["-"] = "none"
	for (i = 1; i <= sizes; i++) class[size[i]] = "l" size[i]
	columns = 512
	width = 900
}
# The runs of a map come before its own line.
($1 == "run" || $1 == "map") && !first_work { first_work = get("work"); first_core = get("core") }
$1 == "map" && get("at") == "worked" { next }
$1 == "map" && get("work") == first_work && get("core") == first_core {
	k = get("kernel")
	strip[k, ++strips[k]] = get("at")
	leaves[k, get("at")] = get("leaves")
}
$1 == "run" && get("work") == first_work && get("core") == first_core && get("at") != "worked" {
	k = get("kernel") SUBSEP get("at")
	r = ++runs[k]
	start[k, r] = strtonum_hex(get("start")); bytes[k, r] = get("bytes"); leaf[k, r] = get("leaf")
	if (start[k, r] + bytes[k, r] > end) end = start[k, r] + bytes[k, r]
	if (!begin || start[k, r] < begin) begin = start[k, r]
}
$1 == "phase" && get("work") != "cost" {
	if (!core) core = get("core")
	if (get("core") == core) {
		w = get("work")
		if (!(w in known)) { known[w] = 1; work[++works] = w }
		rate[get("kernel"), w, get("at")] = 1000 * get("walks") / get("insns")
		if (rate[get("kernel"), w, get("at")] > top) top = rate[get("kernel"), w, get("at")]
	}
}
# awk has no numbers in base 16 that all of them read
function strtonum_hex(s,    i, n) {
	for (i = 3; i <= length(s); i++) n = n * 16 + index("0123456789abcdef", substr(s, i, 1)) - 1
	return n
}
# One strip: for each column the size that maps most of it, if that is mapped.
function draw(k, y,    r, c, from, to, part, all, best, i, last, since) {
	split("", part)
	for (r = 1; r <= runs[k]; r++) {
		from = (start[k, r] - begin) / cell; to = from + bytes[k, r] / cell
		for (c = int(from); c < to && c < columns; c++)
			part[c, leaf[k, r]] += (to < c + 1 ? to : c + 1) - (from > c ? from : c)
	}
	last = ""
	for (c = 0; c <= columns; c++) {
		best = ""; all = 0
		for (i = 1; i <= sizes && c < columns; i++) {
			all += part[c, size[i]]
			if (part[c, size[i]] > (best ? part[c, best] : 0)) best = size[i]
		}
		if (c < columns && all < 0.5) best = "-"
		if (best != last) {
			if (last) rect(left + since * scale, y, (c - since) * scale, 9, class[last])
			since = c; last = best
		}
	}
}
function name_of(at) {
	if (at == "fresh") return "at first"
	if (at ~ /^open-/) return "files open"
	if (at ~ /^closed-/) return "files closed"
	if (at ~ /^later-/) { sub(/later-/, "", at); return "+ " at " ms" }
	if (at == "churned") return "at work right after"
	if (at == "healed") return "at work later"
	return at
}
END {
	left = 140; cell = (end - begin) / columns; scale = (width - left - 90) / columns
	rows = strips["base"] > strips["ours"] ? strips["base"] : strips["ours"]
	bars_at = 60 + 2 * (rows * 11 + 40)
	height = bars_at + (works ? 250 : 0)
	printf "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" height=\"%d\" font-family=\"sans-serif\" font-size=\"10\">\n", width, height, width, height
	print "<style>"
	print ".ground{fill:#fff} text{fill:#222} .grid{stroke:#ddd} .none{fill:#d9d9d9}"
	print ".l4K{fill:#c8371e} .l64K{fill:#f0a63a} .l2M{fill:#b8d8e8} .l32M{fill:#5b9bc8} .l1G{fill:#1d4f7c}"
	print ".b1{fill:#bdbdbd} .b2{fill:#858585} .b3{fill:#4a4a4a} .o1{fill:#b8d8e8} .o2{fill:#5b9bc8} .o3{fill:#1d4f7c}"
	print "@media (prefers-color-scheme:dark){.ground{fill:#0d1117} text{fill:#e6edf3} .grid{stroke:#30363d} .none{fill:#3d444d}"
	print ".b1{fill:#4d545c} .b2{fill:#8b949e} .b3{fill:#d0d7de} .o1{fill:#1d4f7c} .o2{fill:#5b9bc8} .o3{fill:#b8d8e8}}"
	print "</style>"
	rect(0, 0, width, height, "ground")
	text(12, 20, sprintf("The linear map (%d MiB, by address) while memfd_secret() files come and go", (end - begin) / 1048576), "font-size=\"14\" font-weight=\"bold\"")
	x = left
	for (i = 1; i <= sizes; i++) {
		rect(x, 30, 12, 10, class[size[i]])
		text(x + 16, 39, size[i] (size[i] ~ /^(64K|32M)$/ ? " (contiguous)" : ""))
		x += size[i] ~ /^(64K|32M)$/ ? 110 : 50
	}
	rect(x, 30, 12, 10, class["-"])
	text(x + 16, 39, "not mapped")
	y = 62
	for (j = 1; j <= 2; j++) {
		k = j == 1 ? "base" : "ours"
		text(12, y + 8, j == 1 ? "unmodified" : "with the series", "font-size=\"12\" font-weight=\"bold\"")
		text(width - 12, y + 8, "leaves", "text-anchor=\"end\"")
		y += 14
		for (i = 1; i <= strips[k]; i++) {
			at = strip[k, i]
			if (at == "end") continue
			text(left - 8, y + 8, name_of(at), "text-anchor=\"end\"")
			draw(k SUBSEP at, y)
			text(width - 12, y + 8, leaves[k, at], "text-anchor=\"end\"")
			y += 11
		}
		y += 22
	}
	if (works) {
		text(12, bars_at, sprintf("Kernel TLB walks in 1000 instructions (TLBs of %s)", core), "font-size=\"14\" font-weight=\"bold\"")
		split("fresh churned healed", moment, " ")
		split("at first|right after|two seconds later", told, "|")
		x = 12
		for (j = 1; j <= 2; j++) {
			k = j == 1 ? "base" : "ours"
			text(x, bars_at + 22, j == 1 ? "unmodified:" : "with the series:")
			x += j == 1 ? 64 : 84
			for (m = 1; m <= 3; m++) {
				rect(x, bars_at + 13, 10, 10, (k == "base" ? "b" : "o") m)
				text(x + 14, bars_at + 22, told[m])
				x += m == 3 ? 120 : 78
			}
		}
		floor_at = bars_at + 210; tall = 160; group = (width - 60) / works
		# Four or five lines at round numbers.
		step = 0.01
		while (step * 5 < top) step *= step ~ /2/ ? 2.5 : 2
		top = step * int(top / step + 0.999)
		if (!top) top = step
		for (i = 0; i * step < top * 1.001; i++) {
			y = floor_at - tall * i * step / top
			printf "<path d=\"M48 %.1fH%d\" class=\"grid\"/>\n", y, width - 12
			text(44, y + 3, sprintf("%.2f", i * step), "text-anchor=\"end\"")
		}
		bar = group / 8 > 16 ? 16 : group / 8
		for (i = 1; i <= works; i++) {
			x = 48 + (i - 1) * group + (group - 6.5 * bar) / 2
			for (j = 1; j <= 2; j++) {
				k = j == 1 ? "base" : "ours"
				for (m = 1; m <= 3; m++) {
					h = tall * rate[k, work[i], moment[m]] / top
					# a line shows where nothing is
					rect(x, floor_at - (h > 1 ? h : 1), bar - 1, h > 1 ? h : 1, (k == "base" ? "b" : "o") m)
					x += bar
				}
				x += bar / 2
			}
			# Long names would run into each other.
			text(48 + (i - 0.5) * group, floor_at + (works > 8 && i % 2 == 0 ? 25 : 14), work[i], "text-anchor=\"middle\"")
		}
	}
	print "</svg>"
}
