# SPDX-License-Identifier: GPL-2.0
# The records of bench.sh as a picture: the linear map of both kernels as strips, one below the other as time passes, coloured by the
# size of the leaves; and the TLB walks of each workload.
function get(name) {
	return match(" " $0, " " name "=[^ ]*") ? substr($0, RSTART + length(name) + 1, RLENGTH - length(name) - 2) : ""
}
function text(x, y, s, more) { printf "<text x=\"%.1f\" y=\"%.1f\"%s>%s</text>\n", x, y, more ? " " more : "", s }
function rect(x, y, w, h, fill) { printf "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" fill=\"%s\"/>\n", x, y, w, h, fill }

BEGIN {
	sizes = split("4K 64K 2M 32M 1G", size, " ")
	colour["4K"] = "#c8371e"; colour["64K"] = "#f0a63a"; colour["2M"] = "#b8d8e8"; colour["32M"] = "#5b9bc8"; colour["1G"] = "#1d4f7c"
	colour["-"] = "#d9d9d9"
	columns = 512
	width = 900
}
# The runs of a map come before its own line.
($1 == "run" || $1 == "map") && !first_work { first_work = get("work"); first_core = get("core") }
$1 == "map" && get("work") == first_work && get("core") == first_core {
	k = get("kernel")
	strip[k, ++strips[k]] = get("at")
	leaves[k, get("at")] = get("leaves")
}
$1 == "run" && get("work") == first_work && get("core") == first_core {
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
			if (last) rect(left + since * scale, y, (c - since) * scale, 9, colour[last])
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
	printf "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" height=\"%d\" font-family=\"sans-serif\" font-size=\"10\" fill=\"#222\">\n", width, height, width, height
	rect(0, 0, width, height, "#fff")
	text(12, 20, sprintf("The linear map (%d MiB, by address) while memfd_secret() files come and go", (end - begin) / 1048576), "font-size=\"14\" font-weight=\"bold\"")
	x = left
	for (i = 1; i <= sizes; i++) {
		rect(x, 30, 12, 10, colour[size[i]])
		text(x + 16, 39, size[i] (size[i] ~ /^(64K|32M)$/ ? " (contiguous)" : ""))
		x += size[i] ~ /^(64K|32M)$/ ? 110 : 50
	}
	rect(x, 30, 12, 10, colour["-"])
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
		shade["base", 1] = "#bdbdbd"; shade["base", 2] = "#858585"; shade["base", 3] = "#4a4a4a"
		shade["ours", 1] = "#b8d8e8"; shade["ours", 2] = "#5b9bc8"; shade["ours", 3] = "#1d4f7c"
		x = 12
		for (j = 1; j <= 2; j++) {
			k = j == 1 ? "base" : "ours"
			text(x, bars_at + 22, j == 1 ? "unmodified:" : "with the series:")
			x += j == 1 ? 64 : 84
			for (m = 1; m <= 3; m++) {
				rect(x, bars_at + 13, 10, 10, shade[k, m])
				text(x + 14, bars_at + 22, told[m])
				x += m == 3 ? 120 : 78
			}
		}
		floor_at = bars_at + 210; tall = 160; group = (width - 60) / works
		if (!top) top = 1
		for (i = 0; i <= 4; i++) {
			y = floor_at - tall * i / 4
			printf "<path d=\"M48 %.1fH%d\" stroke=\"#ddd\"/>\n", y, width - 12
			text(44, y + 3, sprintf("%.2f", top * i / 4), "text-anchor=\"end\"")
		}
		bar = group / 8 > 16 ? 16 : group / 8
		for (i = 1; i <= works; i++) {
			x = 48 + (i - 1) * group + (group - 6.5 * bar) / 2
			for (j = 1; j <= 2; j++) {
				k = j == 1 ? "base" : "ours"
				for (m = 1; m <= 3; m++) {
					h = tall * rate[k, work[i], moment[m]] / top
					# a line shows where nothing is
					rect(x, floor_at - (h > 1 ? h : 1), bar - 1, h > 1 ? h : 1, shade[k, m])
					x += bar
				}
				x += bar / 2
			}
			text(48 + (i - 0.5) * group, floor_at + 14, work[i], "text-anchor=\"middle\"")
		}
	}
	print "</svg>"
}
