// Package schema describes the tables that ent generates its client from.
package schema

import (
	"time"

	"entgo.io/ent"
	"entgo.io/ent/schema/edge"
	"entgo.io/ent/schema/field"
)

// Employee refers to itself, so that one type has edges in both directions.
type Employee struct{ ent.Schema }

// Fields has one of each kind that SQLite and Go see differently.
func (Employee) Fields() []ent.Field {
	return []ent.Field{
		field.String("name").NotEmpty().Unique(),
		field.Float("salary").Default(1000.5),
		field.Bool("active").Default(true),
		field.Bytes("photo").Optional(),
		field.Time("hired").Default(time.Now),
		field.JSON("skills", []string{}).Optional(),
		field.Int64("badge").Optional().Nillable(),
	}
}

// Edges make a tree.
func (Employee) Edges() []ent.Edge {
	return []ent.Edge{
		edge.To("reports", Employee.Type).From("manager").Unique(),
	}
}
