# SPDX-License-Identifier: GPL-2.0
# The records of bench.sh as JSON: an object of lists, one for each kind of record, in which numbers are numbers.
function value(v) { return v ~ /^-?[0-9]+$/ ? v : "\"" v "\"" }
{
	kind = $1
	if (kind == "source") {
		match($0, /text=/)
		line = $2 " text=" substr($0, RSTART + 5)
		gsub(/["\\]/, "", line)
		row = "\"core\": \"" substr($2, 6) "\", \"text\": \"" substr($0, RSTART + 5) "\""
	} else {
		row = ""
		for (i = 2; i <= NF; i++) {
			e = index($i, "=")
			row = row (i > 2 ? ", " : "") "\"" substr($i, 1, e - 1) "\": " value(substr($i, e + 1))
		}
	}
	if (!(kind in rows)) order[++kinds] = kind
	rows[kind] = rows[kind] (rows[kind] ? ",\n" : "") "    {" row "}"
}
END {
	print "{"
	for (i = 1; i <= kinds; i++)
		printf "  \"%s\": [\n%s\n  ]%s\n", order[i], rows[order[i]], i < kinds ? "," : ""
	print "}"
}
