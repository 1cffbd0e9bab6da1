package server

import (
	"github.com/awaitd/awaitd/internal/config"
	"github.com/awaitd/awaitd/internal/listen"
)

// socketAccess is who may connect to the unix sockets.
func (s *Server) socketAccess() listen.Access {
	a := listen.Access{Permissions: s.cfg.UDSPermissions}
	if o := s.cfg.UDSOwner; o != (config.Owner{}) {
		a.Owner = &listen.Owner{UID: number(o.User), GID: number(o.Group)}
	}
	return a
}

// number is an account's; -1 if none is named.
func number(a config.Account) int {
	if a.Text == "" {
		return -1
	}
	return a.ID
}
