/* The writing side of a TCP connection, as asyncio.StreamWriter has it. What finds no room or credit is queued by output.c. */
#include "exchange.h"

#include <stddef.h>
#include <structmember.h>

typedef struct {
    PyObject_HEAD
    Exchange *exchange;
    PyObject *weak;
} Writer;

static Exchange *exchange_of(PyObject *self)
{
    return ((Writer *)self)->exchange;
}

PyObject *writer_new(Exchange *x)
{
    Writer *w = PyObject_GC_New(Writer, x->loop->state->writer_type);
    if (!w)
        return NULL;
    w->exchange = (Exchange *)Py_NewRef((PyObject *)x);
    w->weak = NULL;
    x->handles++;
    PyObject_GC_Track(w);
    return (PyObject *)w;
}

/* What is written on a connection that is closed, or gone, is dropped, as asyncio does. */
static bool is_closing(const Exchange *x)
{
    return x->complete || x->lost || x->stream_over || x->app_ended;
}

static int write_bytes(Exchange *x, PyObject *data)
{
    Py_buffer view;
    if (PyUnicode_Check(data) || !PyObject_CheckBuffer(data)) {
        PyErr_Format(PyExc_TypeError, "data argument must be a bytes-like object, not '%.100s'", Py_TYPE(data)->tp_name);
        return -1;
    }
    if (x->eof_sent) {
        PyErr_SetString(PyExc_RuntimeError, "Cannot call write() after write_eof()");
        return -1;
    }
    if (PyObject_GetBuffer(data, &view, PyBUF_SIMPLE) < 0)
        return -1;
    int result = 0;
    if (view.len && !is_closing(x)) {
        result = output_payload(x, data, (struct payload){view.buf, view.len, MESSAGE_BINARY, false}, 0);
        output_commit(x);
    }
    PyBuffer_Release(&view);
    return result;
}

static PyObject *writer_write(PyObject *self, PyObject *data)
{
    if (write_bytes(exchange_of(self), data) < 0)
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *writer_writelines(PyObject *self, PyObject *lines)
{
    Exchange *x = exchange_of(self);
    PyObject *joined = PyObject_CallMethod(x->loop->state->empty_bytes, "join", "O", lines);
    int result = joined ? write_bytes(x, joined) : -1;
    Py_XDECREF(joined);
    if (result < 0)
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *writer_write_eof(PyObject *self, PyObject *Py_UNUSED(unused))
{
    Exchange *x = exchange_of(self);
    if (x->eof_sent || is_closing(x))
        Py_RETURN_NONE;
    x->eof_sent = true;
    int result = output_end(x, NULL);
    output_commit(x);
    if (result < 0)
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *writer_can_write_eof(PyObject *Py_UNUSED(self), PyObject *Py_UNUSED(unused))
{
    Py_RETURN_TRUE;
}

static PyObject *writer_close(PyObject *self, PyObject *Py_UNUSED(unused))
{
    Exchange *x = exchange_of(self);
    if (!is_closing(x) && socket_end(x, CLOSE_NORMAL, NULL) < 0)
        return NULL;
    Py_RETURN_NONE;
}

/* Resets the connection; what was written and has not left is lost. */
static PyObject *writer_abort(PyObject *self, PyObject *Py_UNUSED(unused))
{
    Exchange *x = exchange_of(self);
    if (!x->stream_over) {
        x->complete = true;
        output_reset(x, RESET_CANCELLED, "");
        wait_wake(x, WAIT_RECEIVE);
        wait_wake(x, WAIT_SEND);
    }
    Py_RETURN_NONE;
}

static PyObject *writer_is_closing(PyObject *self, PyObject *Py_UNUSED(unused))
{
    return PyBool_FromLong(is_closing(exchange_of(self)));
}

static PyObject *writer_wait_closed(PyObject *self, PyObject *Py_UNUSED(unused))
{
    return wait_new(exchange_of(self), WAIT_CLOSED);
}

static PyObject *writer_drain(PyObject *self, PyObject *Py_UNUSED(unused))
{
    Exchange *x = exchange_of(self);
    return x->first_piece || x->lost ? wait_new(x, WAIT_SEND) : Py_NewRef(x->loop->state->ready);
}

/* An IPv6 address has two numbers more, and a unix socket is its path. */
PyObject *socket_name(PyObject *address)
{
    PyObject *host = PyTuple_Check(address) ? PyTuple_GET_ITEM(address, 0) : NULL;
    if (!host)
        return PyUnicode_FromString("");
    PyObject *port = PyTuple_GET_ITEM(address, 1);
    if (port == Py_None)
        return Py_NewRef(host);
    if (PyUnicode_FindChar(host, ':', 0, PyUnicode_GET_LENGTH(host), 1) >= 0)
        return Py_BuildValue("(OOii)", host, port, 0, 0);
    return Py_NewRef(address);
}

/* get_extra_info(name, default=None) */
static PyObject *writer_get_extra_info(PyObject *self, PyObject *args, PyObject *kwargs)
{
    static char *keywords[] = {"name", "default", NULL};
    Exchange *x = exchange_of(self);
    PyObject *name, *otherwise = Py_None;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "U|O:get_extra_info", keywords, &name, &otherwise))
        return NULL;
    if (x->scope && PyUnicode_CompareWithASCIIString(name, "peername") == 0)
        return socket_name(PyList_GET_ITEM(x->scope, 0));
    if (x->scope && PyUnicode_CompareWithASCIIString(name, "sockname") == 0)
        return socket_name(PyList_GET_ITEM(x->scope, 1));
    PyObject *details = x->scope ? PyList_GET_ITEM(x->scope, 2) : Py_None, *known = NULL;
    if (details != Py_None && PyDict_GetItemRef(details, name, &known) != 0)
        return known;
    return Py_NewRef(otherwise);
}

/* start_tls(...): awaitd._streams does it, by the three methods below. */
static PyObject *writer_start_tls(PyObject *self, PyObject *args, PyObject *kwargs)
{
    PyObject *module = PyImport_ImportModule("awaitd._streams");
    PyObject *function = module ? PyObject_GetAttrString(module, "start_tls") : NULL;
    PyObject *method = function ? PyMethod_New(function, self) : NULL;
    PyObject *result = method ? PyObject_Call(method, args, kwargs) : NULL;
    Py_XDECREF(module);
    Py_XDECREF(function);
    Py_XDECREF(method);
    return result;
}

/* What is called with each text that the server says, and with None at the end. */
static PyObject *writer_listen(PyObject *self, PyObject *hears)
{
    Exchange *x = exchange_of(self);
    if (!x->scope || is_closing(x)) {
        raise_lost();
        return NULL;
    }
    PyList_SetItem(x->scope, 3, Py_NewRef(hears));
    Py_RETURN_NONE;
}

static PyObject *writer_say(PyObject *self, PyObject *data)
{
    Exchange *x = exchange_of(self);
    struct payload p = {.message = MESSAGE_TEXT};
    char *bytes;
    if (PyBytes_AsStringAndSize(data, &bytes, &p.length) < 0)
        return NULL;
    p.bytes = (const uint8_t *)bytes;
    if (is_closing(x) || output_payload(x, data, p, 0) < 0) {
        if (!PyErr_Occurred())
            raise_lost();
        return NULL;
    }
    output_commit(x);
    Py_RETURN_NONE;
}

static PyObject *writer_unread(PyObject *self, PyObject *Py_UNUSED(unused))
{
    return reader_unread(exchange_of(self));
}

/* What get_extra_info() knows of TLS. */
static PyObject *writer_secured(PyObject *self, PyObject *details)
{
    Exchange *x = exchange_of(self);
    if (x->scope)
        PyList_SetItem(x->scope, 2, Py_NewRef(details));
    Py_RETURN_NONE;
}

static PyObject *get_transport(PyObject *self, void *Py_UNUSED(closure))
{
    PyObject *module = PyImport_ImportModule("awaitd._streams");
    PyObject *transport = module ? PyObject_CallMethod(module, "Transport", "O", self) : NULL;
    Py_XDECREF(module);
    return transport;
}

/* isinstance() looks here when the type is another. */
static PyObject *get_class(PyObject *self, void *Py_UNUSED(closure))
{
    return Py_NewRef(exchange_of(self)->loop->state->stream_writer);
}

/* Bytes that wait for room or for the client. */
static PyObject *get_waiting(PyObject *self, void *Py_UNUSED(closure))
{
    Py_ssize_t size = 0;
    for (struct piece *p = exchange_of(self)->first_piece; p; p = p->next)
        size += p->bytes ? PyBytes_GET_SIZE(p->bytes) - p->offset : 0;
    return PyLong_FromSsize_t(size);
}

static PyObject *writer_repr(PyObject *self)
{
    Exchange *x = exchange_of(self);
    return PyUnicode_FromFormat("<StreamWriter of connection %llx%s>", (unsigned long long)x->id,
                                is_closing(x) ? " closing" : "");
}

static int writer_traverse(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(exchange_of(self));
    return 0;
}

static void writer_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    if (((Writer *)self)->weak)
        PyObject_ClearWeakRefs(self);
    reader_drop(exchange_of(self));
    PyObject_GC_Del(self);
    Py_DECREF(type);
}

#define KEYWORDS(function) (PyCFunction)(void (*)(void)) function, METH_VARARGS | METH_KEYWORDS

static PyMethodDef writer_methods[] = {
    {"write", writer_write, METH_O, "Send bytes, now or when there is room."},
    {"writelines", writer_writelines, METH_O, "Send all bytes of an iterable."},
    {"write_eof", writer_write_eof, METH_NOARGS, "Tell the client, behind what was written, that no more comes."},
    {"can_write_eof", writer_can_write_eof, METH_NOARGS, "True."},
    {"close", writer_close, METH_NOARGS, "Close the connection when what was written has left."},
    {"abort", writer_abort, METH_NOARGS, "Reset the connection."},
    {"is_closing", writer_is_closing, METH_NOARGS, "Say whether the connection is closed, or about to be."},
    {"wait_closed", writer_wait_closed, METH_NOARGS, "Wait until the connection is closed."},
    {"drain", writer_drain, METH_NOARGS, "Wait until the server has room for what was written."},
    {"get_extra_info", KEYWORDS(writer_get_extra_info), "peername, sockname, cipher, tls; the default for all else."},
    {"start_tls", KEYWORDS(writer_start_tls), "Go on in TLS, with the server's certificate."},
    {"_listen", writer_listen, METH_O, NULL},
    {"_say", writer_say, METH_O, NULL},
    {"_unread", writer_unread, METH_NOARGS, NULL},
    {"_secured", writer_secured, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef writer_getset[] = {
    {"__class__", get_class, NULL, NULL, NULL},
    {"transport", get_transport, NULL, "The connection as an asyncio.Transport.", NULL},
    {"_waiting", get_waiting, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMemberDef writer_members[] = {
    {"__weaklistoffset__", T_PYSSIZET, offsetof(Writer, weak), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot writer_slots[] = {
    {Py_tp_dealloc, writer_dealloc},
    {Py_tp_traverse, writer_traverse},
    {Py_tp_repr, writer_repr},
    {Py_tp_methods, writer_methods},
    {Py_tp_members, writer_members},
    {Py_tp_getset, writer_getset},
    {0, NULL},
};

PyType_Spec writer_spec = {
    .name = "awaitd._wire.StreamWriter",
    .basicsize = sizeof(Writer),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = writer_slots,
};
