package server

import (
	"fmt"
	"slices"
	"strings"
	"syscall"

	"github.com/awaitd/awaitd/internal/cgi"
	"github.com/awaitd/awaitd/internal/config"
	"github.com/awaitd/awaitd/internal/fault"
	"github.com/awaitd/awaitd/internal/listen"
)

// bind opens every listening socket; nothing is accepted yet.
func (s *Server) bind() error {
	places, err := s.places()
	if err != nil {
		return err
	}
	if len(s.cfg.SSLCertFiles) > 0 { // sockets that were passed without a word speak HTTP
		for i, at := range places {
			places[i].TLS = at.TLS || at.Protocol == config.HTTP && !at.Plain
		}
	}
	for _, at := range places {
		socket, err := s.listen(at)
		if err != nil {
			return s.explain(at, err)
		}
		if s.program == nil {
			s.agree(socket, at)
		} else {
			s.bestow(socket, at)
		}
		s.sockets, s.addresses = append(s.sockets, socket), append(s.addresses, addressOf(at))
	}
	s.manager.Seal() // those that are not used; before this, it is how they are told from our own
	s.mentionUnused(places)
	return nil
}

func (s *Server) listen(at config.Bind) (*listen.Socket, error) {
	if socket, inherited, err := s.inherit(addressOf(at), at.Protocol == config.Datagrams); inherited {
		return socket, err
	}
	switch at.Network {
	case config.TCP:
		return s.open(listen.TCP(at.Host, at.Port, s.cfg.Backlog))
	case config.UDP:
		return s.open(listen.UDP(at.Host, at.Port))
	case config.Unix:
		return s.open(listen.Unix(at.Path, s.socketAccess(), s.cfg.Backlog))
	}
	if s.legacy != nil { // numbers are those of the first process; here another socket may have this one
		return nil, &listen.Error{Problem: "the server that is replaced had no such descriptor", Err: syscall.EBADF}
	}
	return s.take(at.FD, at.Protocol == config.Datagrams)
}

// agree sets what is spoken on a socket.
func (s *Server) agree(socket *listen.Socket, at config.Bind) {
	socket.Protocol, socket.Scheme, socket.TLS, socket.Target = string(at.Protocol), at.Scheme(), at.TLS, at.Target
	if hasNumber(at) {
		socket.Number = uint16(1 + slices.Index(targets(s.cfg), targetOf(at)))
	}
	if packets(socket) != 0 && socket.Path == "" && !socket.Address.Addr().IsLoopback() {
		s.log.Warn("whoever reaches this address is believed about who the client is; only a web server in front should",
			"address", socket.Address)
	}
}

// packets is how requests are packed on a socket; 0 for HTTP.
func packets(socket *listen.Socket) cgi.Protocol {
	switch config.Protocol(socket.Protocol) {
	case config.UWSGI:
		return cgi.UWSGI
	case config.SCGI:
		return cgi.SCGI
	}
	return 0
}

// explain says why an address can't be had; it may be that another of ours has it.
func (s *Server) explain(at config.Bind, err error) error {
	f := fault.Listen(at.String(), err)
	for _, socket := range s.sockets {
		if at.Network == config.TCP && at.Port != 0 && int(socket.Address.Port()) == at.Port && fault.InUse(err) {
			f.Hint = fmt.Sprintf("this server listens on %s already, which takes the same port", socket.Address)
		}
	}
	return f
}

// places is where to listen, with the descriptors of each name. Without a word about it those that a service manager has passed
// are meant, if it has.
func (s *Server) places() ([]config.Bind, error) {
	passed := s.manager.Sockets
	if !s.cfg.Addressed && len(passed) > 0 {
		var places []config.Bind
		for _, d := range passed {
			places = append(places, config.Bind{Network: config.Descriptor, FD: d.FD})
		}
		return places, nil
	}
	if !s.cfg.Addressed && s.program != nil {
		return nil, nil // not every program listens
	}
	var places []config.Bind
	for _, at := range s.cfg.Addresses() {
		if at.Name == "" {
			places = append(places, at)
			continue
		}
		named := s.manager.Named(at.Name)
		if len(named) == 0 {
			return nil, s.noSuchName(at)
		}
		for _, d := range named {
			at.FD, at.Name = d.FD, ""
			places = append(places, at)
		}
	}
	for i, at := range places {
		if isDescriptor(places[:i], at.FD) && at.Network == config.Descriptor {
			return nil, fault.Usagef("can't listen on %s twice", at)
		}
	}
	return places, nil
}

// isDescriptor tells whether a descriptor is among places to listen on.
func isDescriptor(places []config.Bind, fd int) bool {
	return slices.ContainsFunc(places, func(at config.Bind) bool { return at.Network == config.Descriptor && at.FD == fd })
}

// noSuchName is a name that nothing was passed under.
func (s *Server) noSuchName(at config.Bind) error {
	f := &fault.Fault{Problem: fmt.Sprintf("can't listen on %s: no descriptor of this name was passed", at), Code: fault.Runtime}
	switch {
	case s.manager.Foreign != "":
		f.Hint = fmt.Sprintf("descriptors were passed to process %s, by LISTEN_PID: start awaitd with `exec` if it is in a script",
			s.manager.Foreign)
	case len(s.manager.Sockets) == 0:
		f.Hint = "names are those of `FileDescriptorName=` in a .socket unit"
	default:
		var all []string
		for _, d := range s.manager.Sockets {
			all = append(all, d.String())
		}
		f.Hint = "passed were " + strings.Join(all, ", ")
	}
	return f
}

// mentionUnused warns of sockets that were passed and nobody listens on: their clients would wait for ever.
func (s *Server) mentionUnused(places []config.Bind) {
	for _, d := range s.manager.Sockets {
		if !isDescriptor(places, d.FD) {
			s.log.Warn("a socket that was passed is not used: the settings name other addresses", "socket", d.String())
		}
	}
}

// socketAccess is who may connect to the unix sockets.
func (s *Server) socketAccess() listen.Access {
	owner := listen.Owner{UID: -1, GID: -1}
	if s.become != nil {
		owner = listen.Owner{UID: s.become.uid, GID: s.become.gid}
	}
	if u := s.cfg.UDSOwner.User; u.Text != "" {
		owner.UID = u.ID
	}
	if g := s.cfg.UDSOwner.Group; g.Text != "" {
		owner.GID = g.ID
	}
	if owner.UID < 0 && owner.GID < 0 {
		return listen.Access{Permissions: s.cfg.UDSPermissions}
	}
	return listen.Access{Permissions: s.cfg.UDSPermissions, Owner: &owner}
}
