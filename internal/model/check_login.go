// SPDX-License-Identifier: Apache-2.0

package model

// SQL is what a database is asked. Without a user only what comes before a login is.
type SQL struct {
	User         string
	PasswordFile string // "": there is no password
	Database     string // "": none is chosen, or the one that has the user's name
	Query        string // "": to be let in is enough
	Row          string // the first one that it gives, with tabs between its columns; "": any, or none
}

// AskMySQL asks a MySQL or a MariaDB.
type AskMySQL struct {
	SQL    SQL
	Secure bool // over TLS
	TLS    TLS  // where it is
}

func (AskMySQL) Kind() string { return "mysql" }

// AskPostgreSQL asks a PostgreSQL.
type AskPostgreSQL struct {
	SQL    SQL
	Secure bool
	TLS    TLS
}

func (AskPostgreSQL) Kind() string { return "postgresql" }

// AskLDAP binds, and may look for an entry.
type AskLDAP struct {
	Bind         string // the name of who asks; "": nobody
	PasswordFile string
	Base         string // the entry that must be there, or RootDSE; "": to be bound is enough
	Secure       bool   // ldaps
	TLS          TLS
}

// RootDSE stands for the entry without a name, in which a server tells of itself (RFC 4512 section 5.1).
const RootDSE = "root"

func (AskLDAP) Kind() string { return "ldap" }

// AskRADIUS asks for the status of a server, or whether it lets somebody in.
type AskRADIUS struct {
	SecretFile   string // what the server and we have in common
	User         string // "": Status-Server (RFC 5997) is asked
	PasswordFile string // the user's
	NAS          string // what we call ourselves; "": DefaultNAS
	Reject       bool   // that the user is not let in is a good answer, too
}

// DefaultNAS is sent as NAS-Identifier.
const DefaultNAS = "weir"

func (AskRADIUS) Kind() string { return "radius" }
