package pack

import (
	"regexp"
	"strings"
)

// updateOf finds what a trigger's definition says of updates: the columns, if it
// is for some only.
var updateOf = regexp.MustCompile(`(?is)\bUPDATE(?:\s+OF\s+(.+?))?\s+ON\s`)

// fires says which triggers a conversion of the column would set off, once for each
// row: one that keeps the time of the last change would find that all rows have changed.
func (s *schema) fires(c column) (triggers []string) {
	for _, o := range s.objects {
		m := updateOf.FindStringSubmatch(o.text)
		if o.kind != "trigger" || !strings.EqualFold(o.table, c.table) || m == nil {
			continue
		}
		of := m[1] == ""
		for name := range strings.SplitSeq(m[1], ",") {
			of = of || strings.EqualFold(strings.Trim(strings.TrimSpace(name), "\"'`[]"), c.name)
		}
		if of {
			triggers = append(triggers, o.name)
		}
	}
	return triggers
}
