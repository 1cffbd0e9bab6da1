/* A UDP socket as asyncio's DatagramProtocol and DatagramTransport have it.
 *
 * A protocol is called straight from the turn that takes the frame. The exchange holds the transport until connection_lost() was
 * called; the two refer to each other until then. */
#include "exchange.h"

#include <errno.h>
#include <stddef.h>
#include <structmember.h>

enum { HIGH_WATER = 64 << 10 }; /* bytes that wait: the protocol is asked to pause */

typedef struct {
    PyObject_HEAD
    Exchange *exchange;
    PyObject *protocol;
    PyObject *weak;
    PyObject *known; /* the address that was given or taken last, and its form on the wire; NULL at first */
    uint8_t known_as[PEER];
    Py_ssize_t queued; /* bytes that were queued since the queue was empty */
    bool closing, paused, told;
} Transport;

/* The peer as the socket module has it: an IPv6 address has a flow and a zone, too. */
static PyObject *peer_address(State *s, const uint8_t *p)
{
    struct endpoint_address a = {p[0], load16(p + 2), p + 8};
    if (a.family != FAMILY_IPV6)
        return address_tuple(s, a);
    struct cached_address *entry = address_find(s, a);
    return entry ? Py_BuildValue("(OiiI)", entry->host, (int)a.port, 0, (unsigned int)load32(p + 4)) : NULL;
}

static void remember(Transport *t, PyObject *address, const uint8_t *as)
{
    memcpy(t->known_as, as, PEER);
    t->known_as[1] = 0;
    Py_XSETREF(t->known, Py_NewRef(address));
}

/* A method of the protocol was called; result is its outcome. */
static void settle(Exchange *x, PyObject *result)
{
    Py_XDECREF(result);
    if (result)
        return;
    PyObject *raised = PyErr_GetRaisedException();
    exchange_report(x, raised, "");
    Py_DECREF(raised);
}

static void call(Transport *t, PyObject *name, PyObject *argument)
{
    PyObject *arguments[] = {t->protocol, argument};
    settle(t->exchange, PyObject_VectorcallMethod(name, arguments, argument ? 2 : 1, NULL));
}

static void call_received(Transport *t, PyObject *address, const uint8_t *p, Py_ssize_t n)
{
    PyObject *data = PyBytes_FromStringAndSize((const char *)p, n);
    PyObject *arguments[] = {t->protocol, data, address};
    settle(t->exchange,
           data ? PyObject_VectorcallMethod(t->exchange->loop->state->str.datagram_received, arguments, 3, NULL) : NULL);
    Py_XDECREF(data);
}

static void call_error(Transport *t, int error)
{
    PyObject *exception = PyObject_CallFunction(PyExc_OSError, "is", error, strerror(error));
    if (exception)
        call(t, t->exchange->loop->state->str.error_received, exception);
    else
        settle(t->exchange, NULL);
    Py_XDECREF(exception);
}

void transport_deliver(Exchange *x, const uint8_t *p, Py_ssize_t n)
{
    Transport *t = (Transport *)x->transport;
    if (t->closing)
        return;
    Py_INCREF(t);
    PyObject *address =
        t->known && !p[1] && !memcmp(t->known_as, p, PEER) ? Py_NewRef(t->known) : peer_address(t->exchange->loop->state, p);
    if (!address) {
        settle(t->exchange, NULL);
    } else if (p[1]) {
        call_error(t, p[1]);
    } else {
        remember(t, address, p);
        call_received(t, address, p + PEER, n - PEER);
    }
    Py_XDECREF(address);
    Py_DECREF(t);
}

void transport_drained(Exchange *x)
{
    Transport *t = (Transport *)x->transport;
    t->queued = 0;
    if (!t->paused || t->closing)
        return;
    t->paused = false;
    Py_INCREF(t);
    call(t, x->loop->state->str.resume_writing, NULL);
    Py_DECREF(t);
}

void transport_over(Exchange *x)
{
    Transport *t = (Transport *)x->transport;
    t->closing = true;
    PyObject *lost = PyObject_GetAttrString((PyObject *)t, "_lost");
    PyObject *handle = lost ? PyObject_CallOneArg(x->loop->call_soon, lost) : NULL;
    if (!handle)
        PyErr_WriteUnraisable((PyObject *)t);
    Py_XDECREF(lost);
    Py_XDECREF(handle);
}

int transport_start(Exchange *x, PyObject *factory)
{
    State *s = x->loop->state;
    PyObject *protocol = PyObject_CallNoArgs(factory);
    Transport *t = protocol ? PyObject_GC_New(Transport, s->transport_type) : NULL;
    if (!t) {
        Py_XDECREF(protocol);
        return -1;
    }
    t->exchange = (Exchange *)Py_NewRef((PyObject *)x);
    t->protocol = protocol;
    t->weak = t->known = NULL;
    t->queued = 0;
    t->closing = t->paused = t->told = false;
    PyObject_GC_Track(t);
    PyObject *arguments[] = {protocol, (PyObject *)t};
    Py_INCREF(protocol);
    PyObject *made = PyObject_VectorcallMethod(s->str.connection_made, arguments, 2, NULL);
    Py_DECREF(protocol);
    if (!made) {
        Py_DECREF(t);
        return -1;
    }
    Py_DECREF(made);
    x->transport = (PyObject *)t;
    x->handles++; /* until connection_lost() */
    if (x->stream_over)
        transport_over(x);
    return 0;
}

/* connection_lost(), once: by the event loop, as asyncio does. */
static PyObject *transport_lost(PyObject *self, PyObject *Py_UNUSED(unused))
{
    Transport *t = (Transport *)self;
    Exchange *x = t->exchange;
    if (t->told)
        Py_RETURN_NONE;
    t->told = true;
    PyObject *raised = NULL, *arguments[] = {t->protocol, Py_None};
    PyObject *result = PyObject_VectorcallMethod(x->loop->state->str.connection_lost, arguments, 2, NULL);
    if (!result)
        raised = PyErr_GetRaisedException();
    Py_XDECREF(result);
    if (raised)
        exchange_report(x, raised, "");
    Py_XDECREF(raised);
    x->handles--;
    exchange_released(x);
    Py_CLEAR(x->transport);
    Py_RETURN_NONE;
}

/* Sends what sendto() was given. */
static int transport_send(Transport *t, PyObject *data, PyObject *address)
{
    Exchange *x = t->exchange;
    uint8_t peer[PEER];
    Py_buffer view;
    if (PyUnicode_Check(data) || !PyObject_CheckBuffer(data)) {
        PyErr_Format(PyExc_TypeError, "data argument must be a bytes-like object, not '%.100s'", Py_TYPE(data)->tp_name);
        return -1;
    }
    if (address == t->known) {
        memcpy(peer, t->known_as, PEER);
    } else {
        if (peer_parse(peer, address) < 0)
            return -1;
        remember(t, address, peer);
    }
    if (PyObject_GetBuffer(data, &view, PyBUF_SIMPLE) < 0)
        return -1;
    int result = 0;
    if (view.len > DATAGRAM_MAX)
        call_error(t, EMSGSIZE);
    else if (!t->closing && !x->stream_over && !x->complete)
        result = datagram_write(x, peer, &view, &t->queued);
    PyBuffer_Release(&view);
    if (result >= 0 && t->queued > HIGH_WATER && !t->paused) {
        t->paused = true;
        call(t, x->loop->state->str.pause_writing, NULL);
    }
    return result < 0 ? -1 : 0;
}

/* sendto(data, addr=None) */
static PyObject *transport_sendto(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    PyObject *data = count > 0 ? args[0] : NULL, *address = count > 1 ? args[1] : NULL;
    for (Py_ssize_t i = 0; names && i < PyTuple_GET_SIZE(names); i++) {
        PyObject *name = PyTuple_GET_ITEM(names, i);
        PyObject **slot = PyUnicode_CompareWithASCIIString(name, "data") == 0   ? &data
                          : PyUnicode_CompareWithASCIIString(name, "addr") == 0 ? &address
                                                                                : NULL;
        if (!slot || *slot) {
            PyErr_Format(PyExc_TypeError, "sendto() got an unexpected argument %R", name);
            return NULL;
        }
        *slot = args[count + i];
    }
    if (!data || count > 2) {
        PyErr_SetString(PyExc_TypeError, "sendto() takes data and addr");
        return NULL;
    }
    if (!address || address == Py_None) {
        PyErr_SetString(PyExc_ValueError, "sendto() needs an address: the socket is not connected");
        return NULL;
    }
    if (transport_send((Transport *)self, data, address) < 0)
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *transport_close(PyObject *self, PyObject *Py_UNUSED(unused))
{
    Transport *t = (Transport *)self;
    if (!t->closing && !t->exchange->stream_over && socket_end(t->exchange, CLOSE_NORMAL, NULL) < 0)
        return NULL;
    t->closing = true;
    Py_RETURN_NONE;
}

static PyObject *transport_abort(PyObject *self, PyObject *Py_UNUSED(unused))
{
    Transport *t = (Transport *)self;
    if (!t->exchange->stream_over) {
        t->exchange->complete = true;
        output_reset(t->exchange, RESET_CANCELLED, "");
    }
    t->closing = true;
    Py_RETURN_NONE;
}

static PyObject *transport_is_closing(PyObject *self, PyObject *Py_UNUSED(unused))
{
    return PyBool_FromLong(((Transport *)self)->closing);
}

/* get_extra_info(name, default=None) */
static PyObject *transport_get_extra_info(PyObject *self, PyObject *args, PyObject *kwargs)
{
    static char *keywords[] = {"name", "default", NULL};
    Exchange *x = ((Transport *)self)->exchange;
    PyObject *name, *otherwise = Py_None;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "U|O:get_extra_info", keywords, &name, &otherwise))
        return NULL;
    if (x->scope && PyUnicode_CompareWithASCIIString(name, "sockname") == 0)
        return socket_name(PyList_GET_ITEM(x->scope, 1));
    return Py_NewRef(otherwise);
}

static PyObject *transport_get_protocol(PyObject *self, PyObject *Py_UNUSED(unused))
{
    return Py_NewRef(((Transport *)self)->protocol);
}

static PyObject *transport_set_protocol(PyObject *self, PyObject *protocol)
{
    Py_SETREF(((Transport *)self)->protocol, Py_NewRef(protocol));
    Py_RETURN_NONE;
}

static PyObject *transport_get_write_buffer_size(PyObject *self, PyObject *Py_UNUSED(unused))
{
    return PyLong_FromSsize_t(datagram_waiting(((Transport *)self)->exchange));
}

static PyObject *transport_get_write_buffer_limits(PyObject *Py_UNUSED(self), PyObject *Py_UNUSED(unused))
{
    return Py_BuildValue("(ii)", 0, HIGH_WATER);
}

static PyObject *transport_set_write_buffer_limits(PyObject *Py_UNUSED(self), PyObject *Py_UNUSED(args),
                                                   PyObject *Py_UNUSED(kwargs))
{
    Py_RETURN_NONE;
}

/* isinstance() looks here when the type is another. */
static PyObject *get_class(PyObject *self, void *Py_UNUSED(closure))
{
    return Py_NewRef(((Transport *)self)->exchange->loop->state->datagram_transport);
}

static int transport_traverse(PyObject *self, visitproc visit, void *arg)
{
    Transport *t = (Transport *)self;
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(t->exchange);
    Py_VISIT(t->protocol);
    Py_VISIT(t->known);
    return 0;
}

static int transport_clear(PyObject *self)
{
    Transport *t = (Transport *)self;
    Py_CLEAR(t->known);
    return 0;
}

static void transport_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    Transport *t = (Transport *)self;
    PyObject_GC_UnTrack(self);
    if (t->weak)
        PyObject_ClearWeakRefs(self);
    Py_CLEAR(t->known);
    Py_CLEAR(t->protocol);
    Py_CLEAR(t->exchange);
    PyObject_GC_Del(self);
    Py_DECREF(type);
}

#define KEYWORDS(function) (PyCFunction)(void (*)(void)) function, METH_VARARGS | METH_KEYWORDS

static PyMethodDef transport_methods[] = {
    {"sendto", (PyCFunction)(void (*)(void))transport_sendto, METH_FASTCALL | METH_KEYWORDS, "Send a datagram to an address."},
    {"close", transport_close, METH_NOARGS, "Take no more datagrams; what was sent still leaves."},
    {"abort", transport_abort, METH_NOARGS, "Close at once."},
    {"is_closing", transport_is_closing, METH_NOARGS, "Say whether the transport is closed, or about to be."},
    {"get_extra_info", KEYWORDS(transport_get_extra_info), "sockname; the default for all else."},
    {"get_protocol", transport_get_protocol, METH_NOARGS, "The protocol."},
    {"set_protocol", transport_set_protocol, METH_O, "Have another protocol called."},
    {"get_write_buffer_size", transport_get_write_buffer_size, METH_NOARGS, "How many bytes wait for the server."},
    {"get_write_buffer_limits", transport_get_write_buffer_limits, METH_NOARGS, "The limits, which are fixed."},
    {"set_write_buffer_limits", KEYWORDS(transport_set_write_buffer_limits), "Nothing: the limits are fixed."},
    {"_lost", transport_lost, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef transport_getset[] = {
    {"__class__", get_class, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMemberDef transport_members[] = {
    {"__weaklistoffset__", T_PYSSIZET, offsetof(Transport, weak), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot transport_slots[] = {
    {Py_tp_dealloc, transport_dealloc},
    {Py_tp_traverse, transport_traverse},
    {Py_tp_clear, transport_clear},
    {Py_tp_methods, transport_methods},
    {Py_tp_members, transport_members},
    {Py_tp_getset, transport_getset},
    {0, NULL},
};

PyType_Spec transport_spec = {
    .name = "awaitd._wire.DatagramTransport",
    .basicsize = sizeof(Transport),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = transport_slots,
};
