package sqltext

// passes goes through an expression that gives one of several values as it is, and
// gives the label of one of them that is a marked column's: COALESCE(column, ”)
// and a CASE look at nothing but whether it is NULL. ok is false if it is none.
func (m *marker) passes(toks []token, sc *scope) (label string, ok bool) {
	if len(toks) < 3 || toks[0].class != word {
		return "", false
	}
	if m.is(toks[0], "CASE") {
		return m.passesCase(toks, sc)
	}
	conditions := 0
	switch {
	case anyOf(m.sql, toks[0], []string{"COALESCE", "IFNULL"}):
	case anyOf(m.sql, toks[0], []string{"IIF", "IF"}):
		conditions = 1
	default:
		return "", false
	}
	if toks[1].class != lparen || closing(toks[1:]) != len(toks)-2 {
		return "", false
	}
	for i, arg := range split(toks[2 : len(toks)-1]) {
		if i < conditions {
			m.scan(arg, sc)
		} else if l := m.expr(arg, sc); l != "" {
			label = l
		}
	}
	return label, true
}

// passesCase is passes for CASE ... END.
func (m *marker) passesCase(toks []token, sc *scope) (label string, ok bool) {
	var parts [][]token // each begins with its word
	depth, from := 0, 0 // depth is that of CASEs
	for i, t := range outside(toks) {
		switch {
		case t.class != word || i > 0 && toks[i-1].class == dot:
		case m.is(t, "CASE"):
			depth++
		case depth == 1 && anyOf(m.sql, t, []string{"WHEN", "THEN", "ELSE", "END"}):
			parts = append(parts, toks[from:i])
			from = i
			if m.is(t, "END") {
				depth--
			}
		case m.is(t, "END"):
			depth--
		}
		if depth == 0 && i != len(toks)-1 {
			return "", false
		}
	}
	if depth != 0 {
		return "", false
	}
	for _, p := range parts {
		if !anyOf(m.sql, p[0], []string{"THEN", "ELSE"}) {
			m.scan(p[1:], sc)
		} else if l := m.expr(p[1:], sc); l != "" {
			label = l
		}
	}
	return label, true
}
