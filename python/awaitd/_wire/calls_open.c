/* Opening a stream: the parts of a request, checked and written as an OPEN frame. */
#include "calls.h"

#include <math.h>

#include "fields.h"

enum { EXTRA_AUTHORITY = 6, EXTRA_TIMEOUTS = 7, KIND_CLIENT = 6, OPEN_TIMEOUTS = 4 };

/* The parts of an OPEN. */
struct call {
    struct span method, target, authority, body;
    struct fields fields;
    uint32_t timeouts[OPEN_TIMEOUTS];
    unsigned int transport, credit;
    int secure, end;
};

static uint8_t *put(uint8_t *to, struct span s)
{
    memcpy(to, s.start, s.length);
    return to + s.length;
}

static uint32_t extra_size(const struct call *q)
{
    return 4 + q->authority.length + 4 + (uint32_t)sizeof q->timeouts;
}

/* Writes the frame, of the size that it has without its body; false if the ring is full. */
static bool write_open(Calls *c, uint32_t stream, const struct call *q, uint32_t size)
{
    struct frame f = {frame_padded(size + q->body.length), stream, FRAME_OPEN, q->end ? FLAG_END_STREAM : 0, 0, q->body.length};
    uint8_t *p = link_frame(&c->link, f);
    if (!p)
        return false;
    memset(p + FRAME_HEADER, 0, OPEN_SIZE - FRAME_HEADER);
    p[20] = KIND_CLIENT;
    p[22] = (uint8_t)q->secure;
    p[23] = (uint8_t)q->method.length;
    store64(p + 32, UINT64_MAX);
    store16(p + 40, (uint16_t)q->target.length);
    store16(p + 44, q->fields.count);
    store16(p + 46, (uint16_t)extra_size(q));
    store32(p + 48, q->credit);
    store16(p + 58, (uint16_t)q->transport);
    uint32_t table = 4u * q->fields.count;
    uint8_t *at = put(p + OPEN_SIZE, (struct span){q->fields.data, table});
    at = put(put(at, q->method), q->target);
    at = put(at, (struct span){q->fields.data + table, q->fields.size - table});
    store16(at, EXTRA_AUTHORITY);
    store16(at + 2, (uint16_t)q->authority.length);
    at = put(at + 4, q->authority);
    store16(at, EXTRA_TIMEOUTS);
    store16(at + 2, sizeof q->timeouts);
    for (int i = 0; i < OPEN_TIMEOUTS; i++)
        store32(at + 4 + 4 * i, q->timeouts[i]);
    put(at + 4 + sizeof q->timeouts, q->body);
    return true;
}

/* Milliseconds of a number of seconds; None is none. */
static int milliseconds(PyObject *seconds, uint32_t *result)
{
    *result = 0;
    if (seconds == Py_None)
        return 0;
    double s = PyFloat_AsDouble(seconds);
    if (s == -1.0 && PyErr_Occurred())
        return -1;
    double ms = ceil(s * 1000);
    *result = ms >= 1e9 ? 1000000000u : ms >= 1 ? (uint32_t)ms : 1;
    return 0;
}

static int measure(Calls *c, struct call *q, uint32_t *size)
{
    uint32_t most = c->link.frame_max - FRAME_ALIGN;
    uint64_t total = (uint64_t)OPEN_SIZE + q->method.length + q->target.length + q->fields.size + extra_size(q);
    if (q->method.length > UINT8_MAX || q->target.length > UINT16_MAX || q->authority.length > 1024 || total > most) {
        PyErr_SetString(PyExc_ValueError, "the request's method, URL and headers are too long");
        return -1;
    }
    *size = (uint32_t)total;
    if (q->body.length > most - *size) {
        q->body.length = most - *size;
        q->end = 0;
    }
    return 0;
}

#define OPEN_DOC                                                                                                               \
    "open(handler, transport, secure, method, authority, target, headers, timeouts, body, end, credit) -> (id, taken)\n\n"     \
    "Open a stream, which calls_show() shows; taken is how many bytes of body went with it. None if the ring is full. Raises " \
    "ValueError for what can't "                                                                                               \
    "be in a request."

PyObject *calls_open(PyObject *self, PyObject *args)
{
    Calls *c = (Calls *)self;
    struct call q = {0};
    PyObject *handler, *headers, *timeouts, *result = NULL;
    Py_buffer body;
    const char *method, *authority, *target;
    Py_ssize_t method_size, authority_size, target_size;
    uint32_t size, slot = NO_SLOT;
    if (!calls_is_open(c) ||
        !PyArg_ParseTuple(args, "OIpy#y#y#OO!y*pI:open", &handler, &q.transport, &q.secure, &method, &method_size, &authority,
                          &authority_size, &target, &target_size, &headers, &PyTuple_Type, &timeouts, &body, &q.end, &q.credit))
        return NULL;
    const Py_ssize_t most = c->link.frame_max;
    q.method = (struct span){(const uint8_t *)method, (uint32_t)Py_MIN(method_size, most)};
    q.authority = (struct span){(const uint8_t *)authority, (uint32_t)Py_MIN(authority_size, most)};
    q.target = (struct span){(const uint8_t *)target, (uint32_t)Py_MIN(target_size, most)};
    q.body = (struct span){body.buf, (uint32_t)Py_MIN(body.len, most)};
    q.end = q.end && body.len <= most;
    for (int i = 0; i < OPEN_TIMEOUTS; i++)
        if (PyTuple_GET_SIZE(timeouts) != OPEN_TIMEOUTS || milliseconds(PyTuple_GET_ITEM(timeouts, i), &q.timeouts[i]) < 0)
            goto done;
    if (fields_encode(&q.fields, headers, FIELD_BYTES, c->link.frame_max - OPEN_SIZE) < 0 || measure(c, &q, &size) < 0)
        goto done;
    if (c->owing)
        calls_settle(c);
    if (!c->owing)
        slot = calls_take(c);
    if (slot == NO_SLOT) {
        result = Py_NewRef(Py_None);
    } else if (write_open(c, calls_id(c, slot), &q, size)) {
        c->places[slot].handler = Py_NewRef(handler);
        result = Py_BuildValue("II", calls_id(c, slot), q.body.length);
    } else {
        c->places[slot].next = c->free;
        c->free = slot;
        result = Py_NewRef(Py_None);
    }
    if (result == Py_None)
        calls_show(c); /* the server must see what is there before it can make room */
done:
    PyMem_Free(q.fields.data);
    PyBuffer_Release(&body);
    return result;
}
