/* The requests of an HTTP client over a link of its own: what an event loop, or a program's threads, ask the server to send.
 *
 * A stream is opened here, and what comes for it is told to its handler, a Python object with the methods head, data, end, window
 * and failed. No other stream may be on such a link. All calls are made with the GIL; only `wait` lets go of it. */
#define _GNU_SOURCE
#include "calls.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

enum { TURN_FRAMES = 256, CALLS_MAX = 1 << 16 };

#define GENERATION 0x7FFu

uint32_t calls_id(const Calls *c, uint32_t slot)
{
    return CALLS_OPENER | (c->places[slot].generation & GENERATION) << 20 | slot;
}

static struct place *find(Calls *c, uint32_t id)
{
    uint32_t slot = id & SLOT_MASK;
    return slot < c->count && calls_id(c, slot) == id ? &c->places[slot] : NULL;
}

uint32_t calls_take(Calls *c)
{
    uint32_t slot = c->free;
    if (slot != NO_SLOT) {
        c->free = c->places[slot].next;
        return slot;
    }
    if (c->count == CALLS_MAX)
        return NO_SLOT;
    if (c->count == c->room) {
        uint32_t room = c->room ? 2 * c->room : 64;
        struct place *grown = realloc(c->places, room * sizeof *grown);
        if (!grown)
            return NO_SLOT;
        c->places = grown;
        c->room = room;
    }
    c->places[c->count] = (struct place){0};
    return c->count++;
}

/* The stream has ended: its place may be another's. */
static void release(Calls *c, uint32_t slot)
{
    struct place *p = &c->places[slot];
    PyObject *handler = p->handler;
    *p = (struct place){.generation = p->generation + 1, .next = c->free};
    c->free = slot;
    Py_XDECREF(handler);
}

bool calls_is_open(Calls *c)
{
    if (c->link.map)
        return true;
    PyErr_SetString(PyExc_ConnectionError, "the link is closed");
    return false;
}

void calls_show(Calls *c)
{
    if (!c->in_turn)
        link_publish(&c->link);
}

/* Writes what had found the ring full. */
void calls_settle(Calls *c)
{
    c->owing = false;
    for (uint32_t slot = 0; slot < c->count && !c->owing; slot++) {
        struct place *p = &c->places[slot];
        if (p->window) {
            if (link_frame(&c->link, (struct frame){FRAME_HEADER, calls_id(c, slot), FRAME_WINDOW, 0, 0, p->window}))
                p->window = 0;
            else
                c->owing = true;
        }
        if (p->ending) {
            if (link_frame(&c->link, (struct frame){FRAME_HEADER, calls_id(c, slot), FRAME_RESET, 0, RESET_CANCELLED, 0}))
                release(c, slot);
            else
                c->owing = true;
        }
    }
}

#define OPEN_DOC                                                                                                            \
    "open(handler, transport, secure, method, authority, target, headers, timeouts, body, end, credit) -> (id, taken)\n\n"  \
    "Open a stream, which publish() shows; taken is how many bytes of body went with it. None if the ring is full. Raises " \
    "ValueError for what can't "                                                                                            \
    "be in a request."

#define DATA_DOC                                                                                                          \
    "data(id, body, offset, most, end) -> taken\n\nSend a part of the body, at most so many bytes of it from offset on; " \
    "end: it ends with body. -1 if the ring is full."

static PyObject *calls_data(PyObject *self, PyObject *args)
{
    Calls *c = (Calls *)self;
    unsigned int id;
    Py_buffer body;
    Py_ssize_t offset, most;
    int end;
    if (!calls_is_open(c) || !PyArg_ParseTuple(args, "Iy*nnp:data", &id, &body, &offset, &most, &end))
        return NULL;
    Py_ssize_t n = Py_MIN(Py_MIN(body.len - offset, most), (Py_ssize_t)(c->link.frame_max - FRAME_HEADER - FRAME_ALIGN));
    Py_ssize_t taken = n;
    struct place *p = find(c, id);
    if (offset < 0 || n < 0) {
        PyErr_SetString(PyExc_ValueError, "offset is out of range");
    } else if (p && p->handler) {
        uint8_t flags = end && offset + n == body.len ? FLAG_END_STREAM : 0;
        struct frame f = {frame_padded(FRAME_HEADER + (uint32_t)n), id, FRAME_DATA, flags, 0, (uint32_t)n};
        uint8_t *to = link_frame(&c->link, f);
        if (to)
            memcpy(to + FRAME_HEADER, (const uint8_t *)body.buf + offset, (size_t)n);
        else
            taken = -1;
        calls_show(c);
    }
    PyBuffer_Release(&body);
    return PyErr_Occurred() ? NULL : PyLong_FromSsize_t(taken);
}

/* publish() */
static PyObject *calls_publish(PyObject *self, PyObject *Py_UNUSED(unused))
{
    Calls *c = (Calls *)self;
    if (c->link.map)
        calls_show(c);
    Py_RETURN_NONE;
}

/* window(id, n) */
static PyObject *calls_window(PyObject *self, PyObject *args)
{
    Calls *c = (Calls *)self;
    unsigned int id, n;
    if (!calls_is_open(c) || !PyArg_ParseTuple(args, "II:window", &id, &n))
        return NULL;
    struct place *p = find(c, id);
    if (p && p->handler && n) {
        p->window += n;
        calls_settle(c);
        calls_show(c);
    }
    Py_RETURN_NONE;
}

/* reset(id) */
static PyObject *calls_reset(PyObject *self, PyObject *arg)
{
    Calls *c = (Calls *)self;
    unsigned long id = PyLong_AsUnsignedLong(arg);
    if (PyErr_Occurred())
        return NULL;
    struct place *p = c->link.map ? find(c, (uint32_t)id) : NULL;
    if (p && p->handler && !p->ending) {
        Py_CLEAR(p->handler);
        p->window = 0;
        p->ending = true;
        calls_settle(c);
        calls_show(c);
    }
    Py_RETURN_NONE;
}

/* True if a field says that the body is coded: then httpx decodes it. */
static bool is_coding(const uint8_t *name, uint16_t length)
{
    static const char coding[] = "content-encoding";
    return length == sizeof coding - 1 && !PyOS_strnicmp((const char *)name, coding, length);
}

/* A list of (name, value) from a field table; *used is how many bytes it takes, *coded whether the body is. */
static PyObject *read_fields(const uint8_t *p, uint32_t count, uint32_t *used, bool *coded)
{
    PyObject *list = PyList_New(count);
    const uint8_t *at = p + 4u * count;
    for (uint32_t i = 0; list && i < count; i++) {
        uint16_t name = load16(p + 4 * i), value = load16(p + 4 * i + 2);
        PyObject *pair = Py_BuildValue("y#y#", at, (Py_ssize_t)name, at + name, (Py_ssize_t)value);
        *coded |= is_coding(at, name);
        at += name + value;
        if (pair)
            PyList_SET_ITEM(list, i, pair);
        else
            Py_CLEAR(list);
    }
    *used = (uint32_t)(at - p);
    return list;
}

static PyObject *tell_head(PyObject *handler, const uint8_t *payload, struct frame f)
{
    uint32_t used, phrase = load16(payload + 2), version = payload[4];
    bool coded = false;
    PyObject *fields = read_fields(payload + 8, load16(payload), &used, &coded);
    const char *text = (const char *)payload + 8 + used;
    if (!fields)
        return NULL;
    return PyObject_CallMethod(handler, "head", "iIy#Ny#OO", (int)f.aux, version, text, (Py_ssize_t)phrase, fields,
                               text + phrase, (Py_ssize_t)f.length, f.flags & FLAG_END_STREAM ? Py_True : Py_False,
                               coded ? Py_True : Py_False);
}

/* Tells the handler what has come. NULL with an exception of it. */
static PyObject *tell(PyObject *handler, const uint8_t *payload, struct frame f)
{
    uint32_t used;
    bool coded = false;
    PyObject *trailers;
    switch (f.type) {
    case FRAME_HEAD:
        return tell_head(handler, payload, f);
    case FRAME_DATA:
        return PyObject_CallMethod(handler, "data", "y#O", payload, (Py_ssize_t)f.length,
                                   f.flags & FLAG_END_STREAM ? Py_True : Py_False);
    case FRAME_END:
        trailers = read_fields(payload, f.aux, &used, &coded);
        return trailers ? PyObject_CallMethod(handler, "end", "N", trailers) : NULL;
    case FRAME_WINDOW:
        return PyObject_CallMethod(handler, "window", "I", f.length);
    case FRAME_RESET:
        return PyObject_CallMethod(handler, "failed", "iy#", (int)f.aux, payload, (Py_ssize_t)f.length);
    }
    return Py_NewRef(Py_None);
}

static void take(Calls *c, const uint8_t *frame, struct frame f)
{
    struct place *p = find(c, f.stream);
    if (!p || !p->handler)
        return;
    PyObject *handler = Py_NewRef(p->handler);
    if (f.type == FRAME_RESET || f.type == FRAME_END || (f.flags & FLAG_END_STREAM))
        release(c, f.stream & SLOT_MASK);
    PyObject *result = tell(handler, frame + FRAME_HEADER, f);
    if (!result)
        PyErr_WriteUnraisable(handler);
    Py_XDECREF(result);
    Py_DECREF(handler);
}

#define TURN_DOC "turn() -> bool\n\nTake what has come. True if there is more, and no doorbell will tell of it."

static PyObject *calls_turn(PyObject *self, PyObject *Py_UNUSED(unused))
{
    Calls *c = (Calls *)self;
    const uint8_t *frame = NULL;
    if (!c->link.map || c->in_turn)
        Py_RETURN_FALSE;
    c->in_turn = true;
    doorbell_clear(c->doorbell);
    int left = TURN_FRAMES;
    do {
        while (c->link.map && left > 0 && (frame = ring_peek(&c->link.in))) {
            struct frame f = frame_read(frame);
            take(c, frame, f);
            if (c->link.map)
                ring_advance(&c->link.in, f.size);
            left--;
        }
    } while (c->link.map && left > 0 && !ring_sleep(&c->link.in));
    c->in_turn = false;
    if (!c->link.map)
        Py_RETURN_FALSE;
    if (c->owing)
        calls_settle(c);
    link_release(&c->link);
    link_publish(&c->link);
    return PyBool_FromLong(left <= 0);
}

#define WAIT_DOC \
    "wait(other, seconds) -> bool\n\nWait for the doorbell, or until the socket `other` has something; True for the latter."

static PyObject *calls_wait(PyObject *self, PyObject *args)
{
    Calls *c = (Calls *)self;
    int other, n;
    double seconds;
    if (!calls_is_open(c) || !PyArg_ParseTuple(args, "id:wait", &other, &seconds))
        return NULL;
    struct pollfd fds[2] = {{c->doorbell, POLLIN, 0}, {other, POLLIN, 0}};
    int ms = seconds < 0 ? -1 : (int)(seconds * 1000) + 1;
    Py_BEGIN_ALLOW_THREADS;
    n = poll(fds, 2, ms);
    Py_END_ALLOW_THREADS;
    if (n < 0 && errno == EINTR && PyErr_CheckSignals() < 0)
        return NULL;
    return PyBool_FromLong(n > 0 && fds[1].revents);
}

/* Ends the link. What was under way hears nothing more. */
static void shut(Calls *c)
{
    if (!c->link.map)
        return;
    link_detach(&c->link);
    close(c->doorbell);
    for (uint32_t slot = 0; slot < c->count; slot++)
        Py_CLEAR(c->places[slot].handler);
    c->count = 0;
    c->free = NO_SLOT;
}

static PyObject *calls_handlers(PyObject *self, PyObject *Py_UNUSED(unused))
{
    Calls *c = (Calls *)self;
    PyObject *list = PyList_New(0);
    for (uint32_t slot = 0; list && slot < c->count; slot++)
        if (c->places[slot].handler && PyList_Append(list, c->places[slot].handler) < 0)
            Py_CLEAR(list);
    return list;
}

static PyObject *calls_close(PyObject *self, PyObject *Py_UNUSED(unused))
{
    shut((Calls *)self);
    Py_RETURN_NONE;
}

/* Calls(memfd, ring_size, doorbell, server_doorbell): takes over both doorbells, not memfd. */
static PyObject *calls_new(PyTypeObject *type, PyObject *args, PyObject *Py_UNUSED(kwargs))
{
    int memfd, doorbell, server;
    unsigned int ring_size;
    if (!PyArg_ParseTuple(args, "iIii:Calls", &memfd, &ring_size, &doorbell, &server))
        return NULL;
    Calls *c = (Calls *)type->tp_alloc(type, 0);
    if (!c)
        return NULL;
    c->free = NO_SLOT;
    c->doorbell = doorbell;
    c->state = PyType_GetModuleState(type);
    const char *problem = link_attach(&c->link, memfd, ring_size, server, &c->state->passing);
    if (problem) {
        PyErr_SetString(PyExc_ConnectionError, problem);
        Py_DECREF(c);
        return NULL;
    }
    ring_sleep(&c->link.in);
    return (PyObject *)c;
}

static int calls_traverse(PyObject *self, visitproc visit, void *arg)
{
    Calls *c = (Calls *)self;
    Py_VISIT(Py_TYPE(self));
    for (uint32_t slot = 0; slot < c->count; slot++)
        Py_VISIT(c->places[slot].handler);
    return 0;
}

static int calls_clear(PyObject *self)
{
    shut((Calls *)self);
    return 0;
}

static void calls_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    shut((Calls *)self);
    free(((Calls *)self)->places);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyObject *get_doorbell(PyObject *self, void *Py_UNUSED(closure))
{
    return PyLong_FromLong(((Calls *)self)->doorbell);
}

static PyMethodDef calls_methods[] = {
    {"open", calls_open, METH_VARARGS, OPEN_DOC},
    {"data", calls_data, METH_VARARGS, DATA_DOC},
    {"publish", calls_publish, METH_NOARGS, "publish()\n\nShow the server what was opened."},
    {"window", calls_window, METH_VARARGS, "window(id, n)\n\nLet the server send n more bytes of the response."},
    {"reset", calls_reset, METH_O, "reset(id)\n\nEnd a stream: nothing more is heard of it."},
    {"turn", calls_turn, METH_NOARGS, TURN_DOC},
    {"wait", calls_wait, METH_VARARGS, WAIT_DOC},
    {"handlers", calls_handlers, METH_NOARGS, "handlers()\n\nThe handlers of the streams that are open."},
    {"close", calls_close, METH_NOARGS, "close()\n\nEnd the link."},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef calls_getset[] = {
    {"doorbell", get_doorbell, NULL, "The descriptor that is readable when turn() has something to do.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot calls_slots[] = {
    {Py_tp_new, calls_new},
    {Py_tp_dealloc, calls_dealloc},
    {Py_tp_traverse, calls_traverse},
    {Py_tp_clear, calls_clear},
    {Py_tp_methods, calls_methods},
    {Py_tp_getset, calls_getset},
    {Py_tp_doc, "The requests of an HTTP client over a link of its own (docs/reference/wire.md)."},
    {0, NULL},
};

PyType_Spec calls_spec = {
    .name = "awaitd._wire.Calls",
    .basicsize = sizeof(Calls),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = calls_slots,
};
