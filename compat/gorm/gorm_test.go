// Package gorm_test uses the driver through GORM: with its own dialector for
// SQLite, and with the one of github.com/glebarez/sqlite.
package gorm_test

import (
	"database/sql"
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/glebarez/sqlite"
	"go.uber.org/goleak"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"
	"gorm.io/gorm/logger"

	tursoopt "github.com/turso-opt/turso-opt"
	"github.com/turso-opt/turso-opt/compat/internal/target"
)

// dialectors are the ways to put GORM on a *sql.DB.
var dialectors = map[string]func(*sql.DB) gorm.Dialector{
	"glebarez": func(db *sql.DB) gorm.Dialector { return translating{&sqlite.Dialector{Conn: db}} },
}

// named are the dialectors that open the pool themselves.
var named = map[string]func(driver, dsn string) gorm.Dialector{
	"glebarez": func(driver, dsn string) gorm.Dialector { return &sqlite.Dialector{DriverName: driver, DSN: dsn} },
}

// translating is the pure Go dialector with the one thing that it lacks: by
// itself it knows the errors of its own driver alone.
type translating struct{ *sqlite.Dialector }

func (translating) Translate(err error) error {
	var e *tursoopt.Error
	if errors.As(err, &e) {
		switch e.ExtendedCode {
		case 1555, 2067:
			return gorm.ErrDuplicatedKey
		case 787:
			return gorm.ErrForeignKeyViolated
		}
	}
	return err
}

var models = []any{&company{}, &language{}, &user{}, &post{}, &audit{}}

// each runs body with each dialector on each target, on migrated tables.
func each(t *testing.T, body func(t *testing.T, db *gorm.DB, tg target.Target)) {
	for name := range dialectors {
		t.Run(name, func(t *testing.T) {
			target.Each(t, func(t *testing.T, tg target.Target) {
				db := open(t, dialectors[name](tg.Open(t)))
				if err := db.AutoMigrate(models...); err != nil {
					t.Fatal(err)
				}
				body(t, db, tg)
			}, goleak.IgnoreAnyFunction("gorm.io/gorm/internal/lru.NewLRU[...].func1")) // of prepared statements
		})
	}
}

func open(t *testing.T, dialector gorm.Dialector) *gorm.DB {
	t.Helper()
	db, err := gorm.Open(dialector, &gorm.Config{
		TranslateError: true,
		Logger:         logger.Discard,
	})
	if err != nil {
		t.Fatal(err)
	}
	return db
}

// The dialectors open a driver by its name, too.
func TestOpenByName(t *testing.T) {
	for name, dialector := range named {
		t.Run(name, func(t *testing.T) {
			target.Each(t, func(t *testing.T, tg target.Target) {
				db := open(t, dialector(tg.Driver, tg.DSN))
				pool, err := db.DB()
				if err != nil {
					t.Fatal(err)
				}
				defer pool.Close()
				if err := db.AutoMigrate(&company{}); err != nil {
					t.Fatal(err)
				}
				c := company{Name: "by name"}
				must(t, db.Create(&c))
				var got company
				must(t, db.First(&got, "name = ?", "by name"))
				if got != c || c.ID != 1 {
					t.Errorf("wrote %+v, read %+v", c, got)
				}
			})
		})
	}
}

func must(t *testing.T, db *gorm.DB) *gorm.DB {
	t.Helper()
	if db.Error != nil {
		t.Fatal(db.Error)
	}
	return db
}

func TestAutoMigrateTwice(t *testing.T) {
	each(t, func(t *testing.T, db *gorm.DB, _ target.Target) {
		schema := func() (all []string) {
			t.Helper()
			must(t, db.Raw("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name").Scan(&all))
			return all
		}
		must(t, db.Create(&user{Name: "kept"}))
		before := schema()
		// The second time GORM reads the columns' types to see what has changed,
		// and a column that seems to have changed has its table built anew.
		if err := db.AutoMigrate(models...); err != nil {
			t.Fatal(err)
		}
		if after := schema(); len(before) < len(models) || !reflect.DeepEqual(before, after) {
			t.Errorf("the schema was\n%q, and is\n%q", before, after)
		}
		if !db.Migrator().HasTable(&user{}) || !db.Migrator().HasColumn(&user{}, "balance") || !db.Migrator().HasIndex(&company{}, "Name") {
			t.Error("the migrator does not see what it made")
		}
		var n int64
		must(t, db.Model(&user{}).Count(&n))
		if n != 1 {
			t.Errorf("%d users after the second migration", n)
		}
	})
}

func TestMigratorChangesColumns(t *testing.T) {
	each(t, func(t *testing.T, db *gorm.DB, _ target.Target) {
		type grown struct {
			ID    uint
			Title string `gorm:"size:200;not null;default:untitled"`
			Views int64
		}
		must(t, db.Create(&user{Name: "Ada", Posts: []post{{Title: "first"}}}))
		if err := db.Table("posts").AutoMigrate(&grown{}); err != nil {
			t.Fatal(err)
		}
		var g grown
		must(t, db.Table("posts").First(&g))
		if g.Title != "first" || g.Views != 0 {
			t.Errorf("after the change: %+v", g)
		}
		types, err := db.Migrator().ColumnTypes("posts")
		if err != nil {
			t.Fatal(err)
		}
		kinds := map[string]string{}
		for _, c := range types {
			nullable, known := c.Nullable()
			kinds[c.Name()] = fmt.Sprint(c.DatabaseTypeName(), " ", nullable, " ", known)
		}
		want := map[string]string{"id": "integer true true", "user_id": "integer true true", "title": "text false true", "views": "integer true true"}
		if !reflect.DeepEqual(kinds, want) {
			t.Errorf("type, nullable and whether that is known: %v, want %v", kinds, want)
		}
	})
}

// GORM drops and rebuilds a table with foreign keys turned off, which a server
// that checks them undoes with the session. On one connection they stay off,
// and then no row that refers to the table is lost or in the way.
func TestMigratorOnOneConnection(t *testing.T) {
	each(t, func(t *testing.T, db *gorm.DB, _ target.Target) {
		must(t, db.Create(&user{Name: "Ada", Posts: []post{{Title: "first"}, {Title: "second"}}}))
		foreignKeys := func(db *gorm.DB) (on bool) {
			t.Helper()
			must(t, db.Raw("PRAGMA foreign_keys").Scan(&on))
			return on
		}
		if err := db.Connection(func(tx *gorm.DB) error {
			type user struct {
				ID   uint
				Name string `gorm:"size:99;not null"`
			}
			if err := tx.Migrator().AlterColumn(&user{}, "Name"); err != nil {
				return err
			}
			if !foreignKeys(tx) {
				t.Error("foreign keys are not turned on again")
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		var got user
		must(t, db.Preload("Posts").First(&got))
		if got.Name != "Ada" || len(got.Posts) != 2 {
			t.Errorf("after the table was built anew: %+v", got)
		}

		if err := db.Migrator().DropTable(&user{}); err == nil {
			t.Error("a table that others refer to was dropped from a pool")
		}
		if err := db.Connection(func(tx *gorm.DB) error {
			return tx.Migrator().DropTable(&user{})
		}); err != nil {
			t.Fatal(err)
		}
		var posts int64
		must(t, db.Model(&post{}).Count(&posts))
		if posts != 2 || db.Migrator().HasTable(&user{}) {
			t.Errorf("%d posts are left, or the users are", posts)
		}
		if !foreignKeys(db) {
			t.Error("a connection of the pool was left without foreign keys")
		}
	})
}

func TestCRUD(t *testing.T) {
	each(t, func(t *testing.T, db *gorm.DB, tg target.Target) {
		email := "ada@example.com"
		born := time.Date(1815, 12, 10, 1, 2, 3, 456000000, time.UTC)
		ada := user{Name: " Ada ", Email: &email, Age: 36, Avatar: []byte{0, 255, 7}, Born: born, Active: true}
		must(t, db.Create(&ada))
		// The id and the default come back from the server.
		if ada.ID == 0 || ada.Balance != 12.5 {
			t.Errorf("after Create: id %d, balance %v", ada.ID, ada.Balance)
		}

		var got user
		must(t, db.First(&got, ada.ID))
		if got.Name != "Ada" || got.Email == nil || *got.Email != email || got.Age != 36 || !got.Active ||
			string(got.Avatar) != string(ada.Avatar) || !got.Born.Equal(born) || got.CreatedAt.IsZero() {
			t.Errorf("First gives %+v", got)
		}

		must(t, db.Model(&got).Updates(map[string]any{"age": 37, "email": nil}))
		must(t, db.Model(&got).UpdateColumn("balance", gorm.Expr("balance * ? + ?", 2, 0.5)))
		got = user{}
		must(t, db.Where("name = ?", "Ada").Take(&got))
		if got.Age != 37 || got.Email != nil || got.Balance != 25.5 {
			t.Errorf("after the updates: %+v", got)
		}
		got.Active = false
		must(t, db.Save(&got))

		if n := must(t, db.Delete(&got)).RowsAffected; n != 1 {
			t.Errorf("Delete affects %d rows", n)
		}
		if err := db.First(&user{}, ada.ID).Error; !errors.Is(err, gorm.ErrRecordNotFound) {
			t.Errorf("First of a deleted user: %v", err)
		}
		var again user
		must(t, db.Unscoped().First(&again, ada.ID))
		if !again.DeletedAt.Valid || again.Active {
			t.Errorf("the deleted user is %+v", again)
		}
	})
}

func TestReturningAndUpsert(t *testing.T) {
	each(t, func(t *testing.T, db *gorm.DB, _ target.Target) {
		c := company{ID: 7, Name: "Analytical"}
		must(t, db.Create(&c))
		renamed := company{ID: 7, Name: "Engines"}
		must(t, db.Clauses(clause.OnConflict{Columns: []clause.Column{{Name: "id"}}, DoUpdates: clause.AssignmentColumns([]string{"name"})}).Create(&renamed))
		var all []company
		must(t, db.Find(&all))
		if !reflect.DeepEqual(all, []company{{7, "Engines"}}) {
			t.Errorf("after the upsert: %+v", all)
		}
		var updated []company
		must(t, db.Model(&updated).Clauses(clause.Returning{}).Where("id = ?", 7).Update("name", "Returned"))
		if !reflect.DeepEqual(updated, []company{{7, "Returned"}}) {
			t.Errorf("RETURNING gives %+v", updated)
		}
		first := company{}
		must(t, db.FirstOrCreate(&first, company{Name: "Second"}))
		same := company{}
		must(t, db.FirstOrCreate(&same, company{Name: "Second"}))
		if first.ID == 0 || first.ID != same.ID {
			t.Errorf("FirstOrCreate gives %d, then %d", first.ID, same.ID)
		}
	})
}

func TestAssociationsAndPreload(t *testing.T) {
	each(t, func(t *testing.T, db *gorm.DB, _ target.Target) {
		u := user{
			Name:      "Grace",
			Company:   &company{Name: "Navy"},
			Posts:     []post{{Title: "one"}, {Title: "two"}},
			Languages: []language{{"cobol"}, {"flow-matic"}},
		}
		must(t, db.Create(&u))
		var got user
		must(t, db.Preload(clause.Associations).Preload("Posts", func(db *gorm.DB) *gorm.DB { return db.Order("id DESC") }).First(&got, u.ID))
		if got.Company == nil || got.Company.Name != "Navy" || len(got.Posts) != 2 || got.Posts[0].Title != "two" || len(got.Languages) != 2 {
			t.Errorf("Preload gives %+v", got)
		}
		var joined user
		must(t, db.Joins("Company").Where("Company.name = ?", "Navy").First(&joined))
		if joined.Company == nil || joined.Company.ID != *u.CompanyID {
			t.Errorf("Joins gives %+v", joined.Company)
		}

		languages := func() *gorm.Association { return db.Model(&u).Association("Languages") }
		if err := languages().Append(&language{"fortran"}); err != nil {
			t.Fatal(err)
		}
		if err := languages().Delete(&language{"cobol"}); err != nil {
			t.Fatal(err)
		}
		var left []language
		if err := languages().Find(&left); err != nil || !reflect.DeepEqual(left, []language{{"flow-matic"}, {"fortran"}}) {
			t.Errorf("the languages are %v, %v", left, err)
		}
		if n := languages().Count(); n != 2 {
			t.Errorf("%d languages", n)
		}
	})
}

func TestHooks(t *testing.T) {
	each(t, func(t *testing.T, db *gorm.DB, _ target.Target) {
		must(t, db.Create(&user{Name: " Edsger "}))
		if err := db.Create(&user{}).Error; !errors.Is(err, errNameless) {
			t.Errorf("Create of a nameless user: %v", err)
		}
		var texts []string
		must(t, db.Model(&audit{}).Order("id").Pluck("text", &texts))
		if !reflect.DeepEqual(texts, []string{"created Edsger"}) {
			t.Errorf("audited: %q", texts)
		}
	})
}

func TestTransactions(t *testing.T) {
	each(t, func(t *testing.T, db *gorm.DB, _ target.Target) {
		names := func() (names []string) {
			t.Helper()
			must(t, db.Model(&company{}).Order("id").Pluck("name", &names))
			return names
		}
		oops := errors.New("oops")
		err := db.Transaction(func(tx *gorm.DB) error {
			must(t, tx.Create(&company{Name: "gone"}))
			return oops
		})
		if !errors.Is(err, oops) || len(names()) != 0 {
			t.Errorf("after a failed transaction: %v, %q", err, names())
		}

		// A nested transaction is a savepoint.
		err = db.Transaction(func(tx *gorm.DB) error {
			must(t, tx.Create(&company{Name: "outer"}))
			if err := tx.Transaction(func(tx *gorm.DB) error {
				must(t, tx.Create(&company{Name: "inner, gone"}))
				return oops
			}); !errors.Is(err, oops) {
				t.Errorf("the nested transaction gives %v", err)
			}
			return tx.Transaction(func(tx *gorm.DB) error {
				return tx.Create(&company{Name: "inner"}).Error
			})
		})
		if err != nil || !reflect.DeepEqual(names(), []string{"outer", "inner"}) {
			t.Errorf("after nested transactions: %v, %q", err, names())
		}

		tx := must(t, db.Begin())
		must(t, tx.Create(&company{Name: "before"}))
		tx.SavePoint("here")
		must(t, tx.Create(&company{Name: "after"}))
		tx.RollbackTo("here")
		must(t, tx.Commit())
		if !reflect.DeepEqual(names(), []string{"outer", "inner", "before"}) {
			t.Errorf("after RollbackTo: %q", names())
		}
	})
}

func TestPreparedStatements(t *testing.T) {
	each(t, func(t *testing.T, db *gorm.DB, _ target.Target) {
		must(t, db.Create(&user{Name: "Ada"}))
		session := db.Session(&gorm.Session{PrepareStmt: true})
		for i := range 3 {
			must(t, session.Create(&post{UserID: 1, Title: fmt.Sprint(i)}))
		}
		if err := session.Transaction(func(tx *gorm.DB) error {
			return tx.Create(&post{UserID: 1, Title: "3"}).Error
		}); err != nil {
			t.Fatal(err)
		}
		for i := range 4 {
			var p post
			must(t, session.Where("title = ?", fmt.Sprint(i)).First(&p))
		}
	})
}

func TestCreateInBatches(t *testing.T) {
	each(t, func(t *testing.T, db *gorm.DB, _ target.Target) {
		must(t, db.Create(&user{Name: "Ada"}))
		const rows = 2500
		posts := make([]post, rows)
		for i := range posts {
			posts[i] = post{UserID: 1, Title: fmt.Sprintf("post %d", i)}
		}
		if n := must(t, db.CreateInBatches(posts, 1000)).RowsAffected; n != rows {
			t.Errorf("%d rows affected", n)
		}
		var got []post
		seen := 0
		must(t, db.FindInBatches(&got, 1000, func(tx *gorm.DB, _ int) error {
			for _, p := range got {
				if p != posts[seen] {
					return fmt.Errorf("row %d is %+v, want %+v", seen, p, posts[seen])
				}
				seen++
			}
			return nil
		}))
		if seen != rows {
			t.Errorf("%d rows were found", seen)
		}
	})
}

func TestTranslateError(t *testing.T) {
	each(t, func(t *testing.T, db *gorm.DB, tg target.Target) {
		must(t, db.Create(&company{ID: 1, Name: "one"}))
		nobody := uint(99)
		for name, c := range map[string]struct {
			row  any
			want error
		}{
			"unique":      {&company{Name: "one"}, gorm.ErrDuplicatedKey},
			"primary key": {&company{ID: 1, Name: "two"}, gorm.ErrDuplicatedKey},
			"foreign key": {&user{Name: "x", CompanyID: &nobody}, gorm.ErrForeignKeyViolated},
		} {
			err := db.Omit(clause.Associations).Create(c.row).Error
			switch {
			case err == nil:
				t.Errorf("%s: no error", name)
			case tg.Baseline:
				// It drops the codes.
			case !errors.Is(err, c.want):
				t.Errorf("%s: %v, want %v", name, err, c.want)
			}
		}
	})
}
