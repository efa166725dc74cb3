package gorm_test

import (
	"errors"
	"strings"
	"time"

	"gorm.io/gorm"
)

type company struct {
	ID   uint
	Name string `gorm:"uniqueIndex;size:80;not null"`
}

type user struct {
	gorm.Model
	Name      string `gorm:"index;not null"`
	Email     *string
	Age       uint8
	Balance   float64 `gorm:"default:12.5"`
	Avatar    []byte
	Born      time.Time
	Active    bool
	CompanyID *uint
	Company   *company
	Posts     []post
	Languages []language `gorm:"many2many:user_languages"`
}

type post struct {
	ID     uint
	UserID uint
	Title  string
}

type language struct {
	Code string `gorm:"primaryKey"`
}

var errNameless = errors.New("a user needs a name")

func (u *user) BeforeCreate(*gorm.DB) error {
	if u.Name == "" {
		return errNameless
	}
	u.Name = strings.TrimSpace(u.Name)
	return nil
}

// AfterCreate writes in the transaction that GORM opened for the user.
func (u *user) AfterCreate(tx *gorm.DB) error {
	return tx.Create(&audit{Text: "created " + u.Name}).Error
}

type audit struct {
	ID   uint
	Text string
}
