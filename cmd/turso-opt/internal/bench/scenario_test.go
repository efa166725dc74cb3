package bench

import (
	"slices"
	"strings"
	"testing"
)

func TestScenariosAreWhole(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range Scenarios {
		for _, name := range []string{s.ID, s.Name} {
			if name == "" || seen[name] && s.ID != s.Name || strings.ContainsAny(name, ", ") {
				t.Errorf("%q cannot name scenario %q", name, s.Title)
			}
			seen[name] = true
		}
		if s.Title == "" || s.About == "" || s.Setup == nil || s.Work == nil || len(s.Figures) == 0 {
			t.Errorf("scenario %s is not whole", s.ID)
		}
		if !slices.ContainsFunc(s.Figures, func(f Figure) bool { return f.goal != nil }) {
			t.Errorf("scenario %s cannot fail: it has no goal", s.ID)
		}
		if s.CountOnly && s.Counted == 0 {
			t.Errorf("scenario %s does nothing", s.ID)
		}
		names := map[string]bool{}
		for _, f := range s.Figures {
			key := f.Name + "/" + f.Side
			if names[key] {
				t.Errorf("scenario %s has %q twice", s.ID, key)
			}
			names[key] = true
			if f.Side != "" && !slices.ContainsFunc(s.sides(), func(side Side) bool { return side.Name == f.Side }) {
				t.Errorf("scenario %s has no side %q for %q", s.ID, f.Side, f.Name)
			}
		}
	}
}

func TestSelect(t *testing.T) {
	for list, want := range map[string]string{
		"1":                 "1",
		"8, 1":              "1 8",
		"transaction,point": "1 8",
		"point,1":           "1",
		"dials":             "dials",
		"14":                "14-10 14-100 14-1000",
		"14-100":            "14-100",
	} {
		chosen, err := Select(list)
		var ids []string
		for _, s := range chosen {
			ids = append(ids, s.ID)
		}
		if err != nil || strings.Join(ids, " ") != want {
			t.Errorf("%q selects %v, %v", list, ids, err)
		}
	}
	if all, err := Select(" "); err != nil || len(all) != len(Scenarios) {
		t.Errorf("nothing selects %d scenarios, %v", len(all), err)
	}
	for _, list := range []string{"1,none", "1,,8"} {
		if _, err := Select(list); err == nil {
			t.Errorf("%q selects something", list)
		}
	}
}

func TestCheckPerson(t *testing.T) {
	if err := checkPerson(7, "person 7", 3.5); err != nil {
		t.Error(err)
	}
	for _, c := range []struct {
		name  string
		score float64
	}{{"person 8", 3.5}, {"person 7", 4}, {"7", 3.5}, {"", 3.5}} {
		if checkPerson(7, c.name, c.score) == nil {
			t.Errorf("row 7 may be %q with %g", c.name, c.score)
		}
	}
	if n := testing.AllocsPerRun(100, func() { _ = checkPerson(7, "person 7", 3.5) }); n != 0 {
		t.Errorf("the check allocates %g times, which is counted as the drivers' own", n)
	}
}
