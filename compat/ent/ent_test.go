// Package ent_test uses the driver through a client that ent has generated.
package ent_test

import (
	"bytes"
	"context"
	"errors"
	"reflect"
	"testing"
	"time"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"

	"github.com/turso-opt/turso-opt/compat/ent"
	"github.com/turso-opt/turso-opt/compat/ent/employee"
	"github.com/turso-opt/turso-opt/compat/internal/target"
)

// each runs body on a migrated database; ent refuses one that does not check
// foreign keys.
func each(t *testing.T, body func(ctx context.Context, t *testing.T, client *ent.Client)) {
	target.Each(t, func(t *testing.T, tg target.Target) {
		client := ent.NewClient(ent.Driver(entsql.OpenDB(dialect.SQLite, tg.Open(t))))
		ctx := t.Context()
		if err := client.Schema.Create(ctx); err != nil {
			t.Fatal(err)
		}
		body(ctx, t, client)
	})
}

func create(ctx context.Context, t *testing.T, c *ent.EmployeeClient, name string, manager *ent.Employee) *ent.Employee {
	t.Helper()
	e, err := c.Create().SetName(name).SetNillableManagerID(id(manager)).Save(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func id(e *ent.Employee) *int {
	if e == nil {
		return nil
	}
	return &e.ID
}

func names(ctx context.Context, t *testing.T, c *ent.EmployeeClient) []string {
	t.Helper()
	names, err := c.Query().Order(ent.Asc(employee.FieldID)).Select(employee.FieldName).Strings(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func TestMigrateTwice(t *testing.T) {
	each(t, func(ctx context.Context, t *testing.T, client *ent.Client) {
		create(ctx, t, client.Employee, "Ada", nil)
		// The second time ent reads tables, columns and indexes back and compares.
		if err := client.Schema.Create(ctx); err != nil {
			t.Fatal(err)
		}
		var plan bytes.Buffer
		if err := client.Schema.WriteTo(ctx, &plan); err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(plan.Bytes(), []byte("CREATE")) || bytes.Contains(plan.Bytes(), []byte("ALTER")) {
			t.Errorf("ent still finds something to change:\n%s", plan.Bytes())
		}
		if got := names(ctx, t, client.Employee); !reflect.DeepEqual(got, []string{"Ada"}) {
			t.Errorf("after the second migration: %q", got)
		}
	})
}

func TestValues(t *testing.T) {
	each(t, func(ctx context.Context, t *testing.T, client *ent.Client) {
		hired := time.Date(2024, 2, 29, 23, 59, 58, 123456789, time.FixedZone("", -7*3600))
		want, err := client.Employee.Create().SetName("Grace").SetSalary(-0.125).SetActive(false).SetPhoto([]byte{0, 1, 255}).
			SetHired(hired).SetSkills([]string{"cobol", `"quoted"`}).SetBadge(1<<62 + 1).Save(ctx)
		if err != nil {
			t.Fatal(err)
		}
		got, err := client.Employee.Get(ctx, want.ID)
		if err != nil {
			t.Fatal(err)
		}
		if got.Name != "Grace" || got.Salary != -0.125 || got.Active || !bytes.Equal(got.Photo, want.Photo) ||
			!got.Hired.Equal(hired) || !reflect.DeepEqual(got.Skills, want.Skills) || got.Badge == nil || *got.Badge != 1<<62+1 {
			t.Errorf("wrote %+v\nread %+v", want, got)
		}

		plain := create(ctx, t, client.Employee, "Plain", nil)
		if plain.ID != want.ID+1 {
			t.Errorf("the second id is %d, after %d", plain.ID, want.ID)
		}
		if got, err = client.Employee.Get(ctx, plain.ID); err != nil {
			t.Fatal(err)
		}
		if got.Salary != 1000.5 || !got.Active || got.Photo != nil || got.Skills != nil || got.Badge != nil {
			t.Errorf("the defaults read as %+v", got)
		}
	})
}

func TestEdges(t *testing.T) {
	each(t, func(ctx context.Context, t *testing.T, client *ent.Client) {
		boss := create(ctx, t, client.Employee, "boss", nil)
		first := create(ctx, t, client.Employee, "first", boss)
		create(ctx, t, client.Employee, "second", boss)
		create(ctx, t, client.Employee, "third", first)

		tree, err := client.Employee.Query().Where(employee.Not(employee.HasManager())).
			WithReports(func(q *ent.EmployeeQuery) {
				q.Order(ent.Desc(employee.FieldName)).WithReports()
			}).Only(ctx)
		if err != nil {
			t.Fatal(err)
		}
		reports := tree.Edges.Reports
		if tree.Name != "boss" || len(reports) != 2 || reports[0].Name != "second" || reports[1].Name != "first" ||
			len(reports[0].Edges.Reports) != 0 || len(reports[1].Edges.Reports) != 1 || reports[1].Edges.Reports[0].Name != "third" {
			t.Errorf("the tree is %v", tree)
		}
		up, err := client.Employee.Query().Where(employee.NameEQ("third")).QueryManager().QueryManager().OnlyID(ctx)
		if err != nil || up != boss.ID {
			t.Errorf("two levels up is %d, %v", up, err)
		}

		// The edge's foreign key sets the reports free when their manager goes.
		if err := client.Employee.DeleteOne(boss).Exec(ctx); err != nil {
			t.Fatal(err)
		}
		free, err := client.Employee.Query().Where(employee.Not(employee.HasManager())).Count(ctx)
		if err != nil || free != 2 {
			t.Errorf("%d have no manager, %v", free, err)
		}
	})
}

func TestErrors(t *testing.T) {
	each(t, func(ctx context.Context, t *testing.T, client *ent.Client) {
		create(ctx, t, client.Employee, "Ada", nil)
		if err := client.Employee.Create().SetName("Ada").Exec(ctx); !ent.IsConstraintError(err) {
			t.Errorf("a second Ada: %v", err)
		}
		if err := client.Employee.Create().SetName("Grace").SetManagerID(99).Exec(ctx); !ent.IsConstraintError(err) {
			t.Errorf("a manager who does not exist: %v", err)
		}
		if err := client.Employee.Create().SetName("").Exec(ctx); !ent.IsValidationError(err) {
			t.Errorf("no name: %v", err)
		}
		if _, err := client.Employee.Get(ctx, 99); !ent.IsNotFound(err) {
			t.Errorf("Get of nobody: %v", err)
		}
		if err := client.Employee.UpdateOneID(99).SetActive(false).Exec(ctx); !ent.IsNotFound(err) {
			t.Errorf("an update of nobody: %v", err)
		}
		if got := names(ctx, t, client.Employee); !reflect.DeepEqual(got, []string{"Ada"}) {
			t.Errorf("after the errors: %q", got)
		}
	})
}

func TestBulkAndAggregates(t *testing.T) {
	each(t, func(ctx context.Context, t *testing.T, client *ent.Client) {
		boss := create(ctx, t, client.Employee, "boss", nil)
		all, err := client.Employee.MapCreateBulk([]string{"a", "b", "c"}, func(c *ent.EmployeeCreate, i int) {
			c.SetName(string(rune('a' + i))).SetSalary(float64(i)).SetManager(boss)
		}).Save(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for i, e := range all {
			if e.ID != boss.ID+1+i {
				t.Errorf("row %d got the id %d", i, e.ID)
			}
		}
		n, err := client.Employee.Update().Where(employee.SalaryLT(2)).AddSalary(10).SetActive(false).Save(ctx)
		if err != nil || n != 2 {
			t.Errorf("%d were updated, %v", n, err)
		}
		var sums []struct {
			Active bool    `json:"active"`
			Count  int     `json:"count"`
			Sum    float64 `json:"sum"`
		}
		err = client.Employee.Query().Where(employee.HasManager()).Order(ent.Asc(employee.FieldActive)).
			GroupBy(employee.FieldActive).Aggregate(ent.Count(), ent.Sum(employee.FieldSalary)).Scan(ctx, &sums)
		if err != nil {
			t.Fatal(err)
		}
		if len(sums) != 2 || sums[0].Active || sums[0].Count != 2 || sums[0].Sum != 21 || !sums[1].Active || sums[1].Sum != 2 {
			t.Errorf("the sums are %+v", sums)
		}
		if n, err = client.Employee.Delete().Where(employee.SalaryGT(10)).Exec(ctx); err != nil || n != 2 {
			t.Errorf("%d were deleted, %v", n, err)
		}
	})
}

func TestTransactions(t *testing.T) {
	each(t, func(ctx context.Context, t *testing.T, client *ent.Client) {
		tx, err := client.Tx(ctx)
		if err != nil {
			t.Fatal(err)
		}
		boss := create(ctx, t, tx.Employee, "kept", nil)
		create(ctx, t, tx.Employee, "kept too", boss)
		if err := tx.Commit(); err != nil {
			t.Fatal(err)
		}

		if tx, err = client.Tx(ctx); err != nil {
			t.Fatal(err)
		}
		create(ctx, t, tx.Employee, "gone", nil)
		if err := tx.Employee.Create().SetName("kept").Exec(ctx); !ent.IsConstraintError(err) {
			t.Errorf("inside: %v", err)
		}
		// The statement failed, not the transaction.
		if got := names(ctx, t, tx.Employee); !reflect.DeepEqual(got, []string{"kept", "kept too", "gone"}) {
			t.Errorf("inside: %q", got)
		}
		if err := tx.Rollback(); err != nil {
			t.Fatal(err)
		}
		if got := names(ctx, t, client.Employee); !reflect.DeepEqual(got, []string{"kept", "kept too"}) {
			t.Errorf("after the rollback: %q", got)
		}
	})
}

func TestHooks(t *testing.T) {
	each(t, func(ctx context.Context, t *testing.T, client *ent.Client) {
		refused := errors.New("refused")
		client.Employee.Use(func(next ent.Mutator) ent.Mutator {
			return ent.MutateFunc(func(ctx context.Context, m ent.Mutation) (ent.Value, error) {
				if name, _ := m.Field(employee.FieldName); name == "Eve" {
					return nil, refused
				}
				return next.Mutate(ctx, m)
			})
		})
		create(ctx, t, client.Employee, "Ada", nil)
		if err := client.Employee.Create().SetName("Eve").Exec(ctx); !errors.Is(err, refused) {
			t.Errorf("the hook gives %v", err)
		}
	})
}
