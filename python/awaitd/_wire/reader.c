/* The reading side of a TCP connection, as asyncio.StreamReader has it.
 *
 * What comes is queued by socket.c, one bytes object for each frame. Most reads are served from the first: a line that came alone is
 * that object. A read that needs more than the first has everything moved into one buffer, whose credit is granted again at once,
 * since it may need more than the window: how much it may come to is the read's own limit. */
#include "exchange.h"

enum { LIMIT = 64 << 10 }; /* asyncio's: the longest line, and the most that readuntil() looks at */

typedef struct {
    PyObject_HEAD
    Exchange *exchange;
} Reader;

int raise_lost(void)
{
    PyErr_SetString(PyExc_ConnectionResetError, "Connection lost");
    return -1;
}

/* Nothing comes behind what is here. */
static bool is_over(const Exchange *x)
{
    return x->body_whole || x->complete || x->lost || x->app_ended;
}

static bool has_rest(const Exchange *x)
{
    return x->assembly && x->assembly->start < x->assembly->length;
}

static bool is_empty(const Exchange *x)
{
    return !x->first_in && !has_rest(x);
}

/* What of the first message is not taken. */
static struct span first_rest(const Exchange *x)
{
    PyObject *data = x->first_in->data;
    return (struct span){(const uint8_t *)PyBytes_AS_STRING(data) + x->taken_in,
                         (uint32_t)PyBytes_GET_SIZE(data) - x->taken_in};
}

/* The first n bytes of the first message, which has them. */
static PyObject *take_of_first(Exchange *x, Py_ssize_t n)
{
    struct span rest = first_rest(x);
    bool whole = (Py_ssize_t)rest.length == n;
    PyObject *result =
        whole && !x->taken_in ? Py_NewRef(x->first_in->data) : PyBytes_FromStringAndSize((const char *)rest.start, n);
    if (!result)
        return NULL;
    x->taken_in += (uint32_t)n;
    if (!whole)
        return result;
    struct inbound *m = socket_take(x);
    x->taken_in = 0;
    Py_DECREF(m->data);
    socket_taken(x, m->cost);
    PyMem_Free(m);
    return result;
}

static void drop_rest(Exchange *x)
{
    Py_CLEAR(x->assembly->buffer);
    PyMem_Free(x->assembly);
    x->assembly = NULL;
}

/* The first n bytes of the buffer, which has them. */
static PyObject *take_of_rest(Exchange *x, Py_ssize_t n)
{
    struct assembly *a = x->assembly;
    PyObject *result = PyBytes_FromStringAndSize(PyBytes_AS_STRING(a->buffer) + a->start, n);
    if (!result)
        return NULL;
    a->start += n;
    if (a->start == a->length)
        drop_rest(x);
    return result;
}

/* Room for n more bytes behind what is in the buffer. */
static int make_room(struct assembly *a, Py_ssize_t n)
{
    Py_ssize_t size = a->buffer ? PyBytes_GET_SIZE(a->buffer) : 0;
    if (a->start && a->start >= a->length - a->start) {
        memmove(PyBytes_AS_STRING(a->buffer), PyBytes_AS_STRING(a->buffer) + a->start, (size_t)(a->length - a->start));
        a->length -= a->start;
        a->start = 0;
    }
    if (a->length + n <= size)
        return 0;
    size = a->length + n > 2 * size ? a->length + n : 2 * size;
    if (a->buffer)
        return _PyBytes_Resize(&a->buffer, size);
    a->buffer = PyBytes_FromStringAndSize(NULL, size);
    return a->buffer ? 0 : -1;
}

/* Moves everything that has come into the buffer. */
static int gather(Exchange *x)
{
    if (!x->first_in)
        return 0;
    if (!x->assembly && !(x->assembly = PyMem_Calloc(1, sizeof *x->assembly))) {
        PyErr_NoMemory();
        return -1;
    }
    struct assembly *a = x->assembly;
    while (x->first_in) {
        struct span rest = first_rest(x);
        if (make_room(a, rest.length) < 0)
            return -1;
        memcpy(PyBytes_AS_STRING(a->buffer) + a->length, rest.start, rest.length);
        a->length += rest.length;
        x->taken_in = 0;
        struct inbound *m = socket_take(x);
        Py_DECREF(m->data);
        socket_taken(x, m->cost);
        PyMem_Free(m);
    }
    return 0;
}

static PyObject *take_all(Exchange *x)
{
    return has_rest(x) ? take_of_rest(x, x->assembly->length - x->assembly->start) : Py_NewRef(x->loop->state->empty_bytes);
}

PyObject *reader_unread(Exchange *x)
{
    return gather(x) < 0 ? NULL : take_all(x);
}

/* There is no more; NULL with an exception if that is not the client's will. */
static PyObject *nothing(Exchange *x)
{
    if (x->lost && !x->complete) {
        raise_lost();
        return NULL;
    }
    return take_all(x);
}

static PyObject *read_some(Exchange *x, Py_ssize_t n)
{
    if (n == 0)
        return Py_NewRef(x->loop->state->empty_bytes);
    if (has_rest(x)) {
        Py_ssize_t here = x->assembly->length - x->assembly->start;
        return take_of_rest(x, here < n ? here : n);
    }
    if (x->first_in) {
        Py_ssize_t here = first_rest(x).length;
        return take_of_first(x, here < n ? here : n);
    }
    return is_over(x) ? nothing(x) : NULL;
}

static PyObject *read_all(Exchange *x)
{
    return gather(x) < 0 || !is_over(x) ? NULL : nothing(x);
}

/* IncompleteReadError with what there is; NULL. */
static PyObject *raise_incomplete(Exchange *x, PyObject *expected)
{
    PyObject *partial = nothing(x);
    PyObject *error = partial ? PyObject_CallFunctionObjArgs(x->loop->state->incomplete_read, partial, expected, NULL) : NULL;
    if (error)
        PyErr_SetObject((PyObject *)Py_TYPE(error), error);
    Py_XDECREF(partial);
    Py_XDECREF(error);
    return NULL;
}

static PyObject *read_exactly(Exchange *x, Py_ssize_t n)
{
    if (n == 0)
        return Py_NewRef(x->loop->state->empty_bytes);
    if (!has_rest(x) && x->first_in && first_rest(x).length >= n)
        return take_of_first(x, n);
    if (gather(x) < 0)
        return NULL;
    if (has_rest(x) && x->assembly->length - x->assembly->start >= n)
        return take_of_rest(x, n);
    if (!is_over(x))
        return NULL;
    PyObject *expected = PyLong_FromSsize_t(n);
    PyObject *result = expected ? raise_incomplete(x, expected) : NULL;
    Py_XDECREF(expected);
    return result;
}

/* The place behind the separator, counted from the start of text; 0: it isn't there. */
static size_t find(const uint8_t *text, size_t length, const uint8_t *separator, size_t size)
{
    if (size == 1) {
        const uint8_t *at = memchr(text, *separator, length);
        return at ? (size_t)(at - text) + 1 : 0;
    }
    for (size_t from = 0; length - from >= size && length >= from;) {
        const uint8_t *at = memchr(text + from, *separator, length - from - size + 1);
        if (!at)
            return 0;
        from = (size_t)(at - text);
        if (!memcmp(at, separator, size))
            return from + size;
        from++;
    }
    return 0;
}

/* LimitOverrunError; a line that is too long is dropped, and a ValueError. NULL. */
static PyObject *raise_overrun(Exchange *x, const char *text, Py_ssize_t consumed, Py_ssize_t separator, bool line)
{
    if (line) {
        struct assembly *a = x->assembly;
        bool found =
            a && a->start + consumed + separator <= a->length && PyBytes_AS_STRING(a->buffer)[a->start + consumed] == '\n';
        PyObject *dropped = !a ? NULL : found ? take_of_rest(x, consumed + separator) : take_all(x);
        if (dropped || !a)
            PyErr_SetString(PyExc_ValueError, text);
        Py_XDECREF(dropped);
        return NULL;
    }
    PyObject *error = PyObject_CallFunction(x->loop->state->limit_overrun, "sn", text, consumed);
    if (error)
        PyErr_SetObject((PyObject *)Py_TYPE(error), error);
    Py_XDECREF(error);
    return NULL;
}

static PyObject *read_until(Exchange *x, struct read *r, const uint8_t *separator, Py_ssize_t size, bool line)
{
    if (!has_rest(x) && x->first_in) {
        struct span rest = first_rest(x);
        size_t n = find(rest.start, rest.length, separator, (size_t)size);
        if (n && n - (size_t)size <= LIMIT)
            return take_of_first(x, (Py_ssize_t)n);
    }
    if (gather(x) < 0)
        return NULL;
    struct assembly *a = x->assembly;
    Py_ssize_t here = has_rest(x) ? a->length - a->start : 0;
    if (here) {
        Py_ssize_t from = a->start + (r->size >= size ? r->size - size + 1 : 0);
        size_t n =
            find((const uint8_t *)PyBytes_AS_STRING(a->buffer) + from, (size_t)(a->length - from), separator, (size_t)size);
        Py_ssize_t end = (Py_ssize_t)n + from - a->start;
        if (n && end - size > LIMIT)
            return raise_overrun(x, "Separator is found, but chunk is longer than limit", end - size, size, line);
        if (n)
            return take_of_rest(x, end);
        r->size = here;
        if (here + 1 - size > LIMIT)
            return raise_overrun(x, "Separator is not found, and chunk exceed the limit", here + 1 - size, size, line);
    }
    if (!is_over(x))
        return NULL;
    return line ? nothing(x) : raise_incomplete(x, Py_None);
}

/* A line of an iteration. */
static PyObject *read_item(Exchange *x, struct read *r)
{
    PyObject *line = read_until(x, r, (const uint8_t *)"\n", 1, true);
    if (line && !PyBytes_GET_SIZE(line)) {
        Py_DECREF(line);
        PyErr_SetNone(PyExc_StopAsyncIteration);
        return NULL;
    }
    return line;
}

PyObject *reader_poll(Exchange *x, struct read *r)
{
    switch (r->kind) {
    case READ_SOME:
        return read_some(x, r->size);
    case READ_ALL:
        return read_all(x);
    case READ_EXACTLY:
        return read_exactly(x, r->size);
    case READ_UNTIL:
        return read_until(x, r, (const uint8_t *)PyBytes_AS_STRING(r->separator), PyBytes_GET_SIZE(r->separator), false);
    case READ_LINE:
        return read_until(x, r, (const uint8_t *)"\n", 1, true);
    default:
        return read_item(x, r);
    }
}

const char *reader_name(uint8_t kind)
{
    return kind <= READ_ALL ? "read" : kind == READ_EXACTLY ? "readexactly" : "readuntil";
}

void reader_drop(Exchange *x)
{
    if (--x->handles == 0)
        exchange_released(x);
    Py_DECREF(x);
}

PyObject *reader_new(Exchange *x)
{
    Reader *r = PyObject_GC_New(Reader, x->loop->state->reader_type);
    if (!r)
        return NULL;
    r->exchange = (Exchange *)Py_NewRef((PyObject *)x);
    x->handles++;
    PyObject_GC_Track(r);
    return (PyObject *)r;
}

static Exchange *exchange_of(PyObject *self)
{
    return ((Reader *)self)->exchange;
}

/* read(n=-1) */
static PyObject *reader_read(PyObject *self, PyObject *args, PyObject *kwargs)
{
    static char *keywords[] = {"n", NULL};
    Py_ssize_t n = -1;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|n:read", keywords, &n))
        return NULL;
    return wait_read(exchange_of(self), (struct read){NULL, n, n < 0 ? READ_ALL : READ_SOME});
}

static PyObject *reader_readline(PyObject *self, PyObject *Py_UNUSED(unused))
{
    return wait_read(exchange_of(self), (struct read){NULL, 0, READ_LINE});
}

static PyObject *reader_readexactly(PyObject *self, PyObject *args, PyObject *kwargs)
{
    static char *keywords[] = {"n", NULL};
    Py_ssize_t n;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "n:readexactly", keywords, &n))
        return NULL;
    if (n < 0) {
        PyErr_SetString(PyExc_ValueError, "readexactly size can not be less than zero");
        return NULL;
    }
    return wait_read(exchange_of(self), (struct read){NULL, n, READ_EXACTLY});
}

/* readuntil(separator=b"\n") */
static PyObject *reader_readuntil(PyObject *self, PyObject *args, PyObject *kwargs)
{
    static char *keywords[] = {"separator", NULL};
    Py_buffer view = {0};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|y*:readuntil", keywords, &view))
        return NULL;
    PyObject *separator = PyBytes_FromStringAndSize(view.obj ? view.buf : "\n", view.obj ? view.len : 1);
    if (view.obj)
        PyBuffer_Release(&view);
    if (separator && !PyBytes_GET_SIZE(separator)) {
        Py_DECREF(separator);
        PyErr_SetString(PyExc_ValueError, "Separator should be at least one-byte string");
        return NULL;
    }
    return separator ? wait_read(exchange_of(self), (struct read){separator, 0, READ_UNTIL}) : NULL;
}

static PyObject *reader_at_eof(PyObject *self, PyObject *Py_UNUSED(unused))
{
    Exchange *x = exchange_of(self);
    return PyBool_FromLong(is_over(x) && is_empty(x));
}

static PyObject *reader_exception(PyObject *self, PyObject *Py_UNUSED(unused))
{
    Exchange *x = exchange_of(self);
    if (!x->lost || x->complete)
        Py_RETURN_NONE;
    return PyObject_CallFunction(PyExc_ConnectionResetError, "s", "Connection lost");
}

static PyObject *reader_anext(PyObject *self)
{
    return wait_read(exchange_of(self), (struct read){NULL, 0, READ_ITEM});
}

static PyObject *reader_self(PyObject *self)
{
    return Py_NewRef(self);
}

/* isinstance() looks here when the type is another. */
static PyObject *get_class(PyObject *self, void *Py_UNUSED(closure))
{
    return Py_NewRef(exchange_of(self)->loop->state->stream_reader);
}

static PyObject *reader_repr(PyObject *self)
{
    Exchange *x = exchange_of(self);
    return PyUnicode_FromFormat("<StreamReader of connection %llx%s>", (unsigned long long)x->id, is_over(x) ? " eof" : "");
}

static int reader_traverse(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(exchange_of(self));
    return 0;
}

static void reader_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    reader_drop(exchange_of(self));
    PyObject_GC_Del(self);
    Py_DECREF(type);
}

#define KEYWORDS(function) (PyCFunction)(void (*)(void)) function, METH_VARARGS | METH_KEYWORDS

static PyMethodDef reader_methods[] = {
    {"read", KEYWORDS(reader_read), "Read up to n bytes; all until the end if n is negative."},
    {"readline", reader_readline, METH_NOARGS, "Read a line."},
    {"readexactly", KEYWORDS(reader_readexactly), "Read exactly n bytes."},
    {"readuntil", KEYWORDS(reader_readuntil), "Read until the separator, which is part of the result."},
    {"at_eof", reader_at_eof, METH_NOARGS, "Say whether nothing is here and nothing comes."},
    {"exception", reader_exception, METH_NOARGS, "The exception that reads raise, or None."},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef reader_getset[] = {
    {"__class__", get_class, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot reader_slots[] = {
    {Py_tp_dealloc, reader_dealloc}, {Py_tp_traverse, reader_traverse},
    {Py_tp_repr, reader_repr},       {Py_am_aiter, reader_self},
    {Py_am_anext, reader_anext},     {Py_tp_methods, reader_methods},
    {Py_tp_getset, reader_getset},   {0, NULL},
};

PyType_Spec reader_spec = {
    .name = "awaitd._wire.StreamReader",
    .basicsize = sizeof(Reader),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = reader_slots,
};
