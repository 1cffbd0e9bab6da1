/* wsgi.input: the request body as a file. It ends where the body ends, with or without a declared length. */
#include "call.h"

#include <stdlib.h>

/* Bytes read so far; PyMem_Raw, since it grows without the GIL. */
struct buffer {
    uint8_t *data;
    size_t length, room;
};

static bool append(struct buffer *b, const uint8_t *data, size_t length)
{
    if (b->room - b->length < length) {
        size_t room = b->room ? b->room : 256;
        while (room - b->length < length)
            room *= 2;
        uint8_t *grown = PyMem_RawRealloc(b->data, room);
        if (!grown)
            return false;
        b->data = grown;
        b->room = room;
    }
    memcpy(b->data + b->length, data, length);
    b->length += length;
    return true;
}

/* What can be read without waiting: the rest of what came in OPEN, then the first chunk. Lock held. */
static struct span available(Call *c)
{
    struct chunk *first = c->stream.first;
    if (c->inline_body.length)
        return c->inline_body;
    return first ? (struct span){first->data + first->offset, first->length - first->offset} : (struct span){NULL, 0};
}

static bool is_readable(Call *c)
{
    return available(c).length || c->stream.whole || c->stream.lost || c->stream.over;
}

/* Gives the server the credit that is owed; at first the whole window, then what was read, when that is half of it. */
static void grant(struct stream *s)
{
    if (s->whole || s->lost || s->over)
        return;
    if (!s->granted)
        s->owed = CALL_WINDOW;
    else if (s->consumed >= CALL_WINDOW / 2)
        s->owed += s->consumed;
    else if (!s->owed)
        return;
    s->consumed = 0;
    s->granted = true;
    if (link_frame(s->link, (struct frame){FRAME_HEADER, s->id, FRAME_WINDOW, 0, 0, s->owed}))
        s->owed = 0;
    link_publish(s->link);
}

/* Takes n bytes of what is available off. Lock held. */
static void consume(Call *c, uint32_t n)
{
    struct stream *s = &c->stream;
    if (c->inline_body.length) {
        c->inline_body.start += n;
        c->inline_body.length -= n;
        grant(s); /* who has begun to read wants the rest as well */
        return;
    }
    struct chunk *first = s->first;
    first->offset += n;
    s->consumed += n;
    if (first->offset == first->length) {
        s->first = first->next;
        if (!s->first)
            s->last = NULL;
        free(first);
    }
    grant(s);
}

/* Like is_readable; while there is nothing, gives the credit that found no room before. */
static bool is_readable_now(void *argument)
{
    Call *c = argument;
    if (is_readable(c))
        return true;
    grant(&c->stream);
    return false;
}

/* Waits for bytes, without the GIL. Lock held before and after; it is not held while the GIL is taken, and another thread of the
 * application's may read meanwhile what this one has waited for. */
static void wait_readable(Call *c)
{
    ThreadLoop *l = c->loop;
    while (!is_readable_now(c)) {
        pthread_mutex_unlock(&l->lock);
        Py_BEGIN_ALLOW_THREADS pthread_mutex_lock(&l->lock);
        threads_wait(l, &c->stream, is_readable_now, c);
        pthread_mutex_unlock(&l->lock);
        Py_END_ALLOW_THREADS pthread_mutex_lock(&l->lock);
    }
}

/* How many of the available bytes belong to the result; sets *done when they are its last. */
static uint32_t usable(struct span s, size_t wanted, bool line, bool *done)
{
    uint32_t n = s.length < wanted ? s.length : (uint32_t)wanted;
    const uint8_t *newline = line ? memchr(s.start, '\n', n) : NULL;
    *done = newline || n == wanted;
    return newline ? (uint32_t)(newline - s.start) + 1 : n;
}

enum outcome { READ_DONE, READ_LOST, READ_OVER, READ_NO_MEMORY };

/* Reads up to wanted bytes, or a line. */
static enum outcome fill(Call *c, struct buffer *b, size_t wanted, bool line)
{
    enum outcome outcome = READ_DONE;
    bool done = wanted == 0;
    pthread_mutex_lock(&c->loop->lock);
    while (!done) {
        wait_readable(c);
        struct span s = available(c);
        if (!s.length) {
            outcome = c->stream.whole ? READ_DONE : c->stream.lost ? READ_LOST : READ_OVER;
            break;
        }
        uint32_t n = usable(s, wanted - b->length, line, &done);
        if (!append(b, s.start, n)) {
            outcome = READ_NO_MEMORY;
            break;
        }
        consume(c, n);
    }
    pthread_mutex_unlock(&c->loop->lock);
    return outcome;
}

static PyObject *read_bytes(Call *c, Py_ssize_t size, bool line)
{
    struct buffer b = {NULL, 0, 0};
    PyObject *result = NULL;
    enum outcome outcome = fill(c, &b, size < 0 ? SIZE_MAX : (size_t)size, line);
    if (outcome == READ_LOST)
        PyErr_SetString(c->loop->state->client_disconnected, "the client left before the end of its request");
    else if (outcome == READ_OVER)
        PyErr_SetString(PyExc_OSError, "the response has ended, and with it the request body");
    else if (outcome == READ_NO_MEMORY)
        PyErr_NoMemory();
    else
        result = PyBytes_FromStringAndSize((const char *)b.data, (Py_ssize_t)b.length);
    PyMem_RawFree(b.data);
    return result;
}

/* The optional size argument: None and what is negative mean all. */
static int size_of(PyObject *const *args, Py_ssize_t count, Py_ssize_t *size)
{
    *size = -1;
    if (count > 1) {
        PyErr_Format(PyExc_TypeError, "expected at most 1 argument, got %zd", count);
        return -1;
    }
    if (count == 1 && args[0] != Py_None)
        *size = PyNumber_AsSsize_t(args[0], PyExc_OverflowError);
    return PyErr_Occurred() ? -1 : 0;
}

static PyObject *input_read(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    Py_ssize_t size;
    return size_of(args, count, &size) < 0 ? NULL : read_bytes((Call *)self, size, false);
}

static PyObject *input_readline(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    Py_ssize_t size;
    return size_of(args, count, &size) < 0 ? NULL : read_bytes((Call *)self, size, true);
}

/* readlines(hint): whole lines until hint bytes are reached. */
static PyObject *input_readlines(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    Py_ssize_t hint, total = 0;
    PyObject *lines = size_of(args, count, &hint) < 0 ? NULL : PyList_New(0);
    while (lines && (hint <= 0 || total < hint)) {
        PyObject *line = read_bytes((Call *)self, -1, true);
        Py_ssize_t length = line ? PyBytes_GET_SIZE(line) : 0;
        if (!line || (length && PyList_Append(lines, line) < 0))
            Py_CLEAR(lines);
        Py_XDECREF(line);
        if (!length)
            break;
        total += length;
    }
    return lines;
}

PyObject *input_next(PyObject *self)
{
    PyObject *line = read_bytes((Call *)self, -1, true);
    if (line && !PyBytes_GET_SIZE(line))
        Py_CLEAR(line);
    return line;
}

#define FASTCALL(function) (PyCFunction)(void (*)(void))(function)

PyMethodDef call_methods[] = {
    {"read", FASTCALL(input_read), METH_FASTCALL, "Read size bytes, or all."},
    {"readline", FASTCALL(input_readline), METH_FASTCALL, "Read a line, of at most size bytes."},
    {"readlines", FASTCALL(input_readlines), METH_FASTCALL, "Read the remaining lines, or about hint bytes of them."},
    {NULL, NULL, 0, NULL},
};
