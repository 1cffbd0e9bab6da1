/* start_response, write, and the frames of a WSGI response. */
#include "call.h"

/* What is being sent: the head if it is due, body bytes, the end. */
struct output {
    Call *call;
    const uint8_t *body;
    Py_ssize_t length, offset;
    bool end;
};

static uint32_t smallest(uint64_t a, uint64_t b, uint64_t c)
{
    uint64_t least = a < b ? a : b;
    return (uint32_t)(least < c ? least : c);
}

static void stream_ended(Call *c)
{
    c->ended = true;
    threads_forget(&c->stream);
}

static bool write_head(struct output *o)
{
    Call *c = o->call;
    struct stream *s = &c->stream;
    uint32_t n = smallest((uint64_t)o->length, s->credit, s->link->frame_max - HEAD_SIZE - c->head_size);
    bool last = o->end && n == o->length;
    uint32_t size = frame_padded(HEAD_SIZE + c->head_size + n);
    uint8_t *p = link_frame(s->link, (struct frame){size, s->id, FRAME_HEAD, last ? FLAG_END_STREAM : 0, c->status, n});
    if (!p)
        return false;
    store64(p + FRAME_HEADER, c->head_fields | (uint64_t)c->head_phrase << 16);
    memcpy(p + HEAD_SIZE, c->head, c->head_size);
    memcpy(p + HEAD_SIZE + c->head_size, o->body, n);
    s->credit -= n;
    o->offset = n;
    c->head_sent = true;
    if (last)
        stream_ended(c);
    return true;
}

static bool write_data(struct output *o)
{
    struct stream *s = &o->call->stream;
    uint32_t n = smallest((uint64_t)(o->length - o->offset), s->credit, s->link->frame_max - FRAME_HEADER);
    bool last = o->end && o->offset + n == o->length;
    struct frame header = {frame_padded(FRAME_HEADER + n), s->id, FRAME_DATA, last ? FLAG_END_STREAM : 0, 0, n};
    uint8_t *p = n ? link_frame(s->link, header) : NULL;
    if (!p)
        return false;
    memcpy(p + FRAME_HEADER, o->body + o->offset, n);
    s->credit -= n;
    o->offset += n;
    if (last)
        stream_ended(o->call);
    return true;
}

static bool write_end(struct output *o)
{
    struct stream *s = &o->call->stream;
    if (!link_frame(s->link, (struct frame){FRAME_HEADER, s->id, FRAME_END, 0, 0, 0}))
        return false;
    stream_ended(o->call);
    return true;
}

/* Sends as much as credit and room allow; true if that is all, or if nobody listens any more. Lock held. */
static bool advance(void *argument)
{
    struct output *o = argument;
    Call *c = o->call;
    bool progress = true;
    if (c->stream.lost || c->ended)
        return true;
    if (!c->head_sent)
        progress = write_head(o);
    while (progress && o->offset < o->length)
        progress = write_data(o);
    if (progress && o->end && !c->ended)
        progress = write_end(o);
    link_publish(c->stream.link);
    return progress;
}

int reply_send(Call *c, const uint8_t *body, Py_ssize_t length, bool end)
{
    ThreadLoop *l = c->loop;
    struct output o = {c, body, length, 0, end};
    pthread_mutex_lock(&l->lock);
    bool done = advance(&o), lost = c->stream.lost;
    pthread_mutex_unlock(&l->lock);
    if (!done) {
        Py_BEGIN_ALLOW_THREADS pthread_mutex_lock(&l->lock);
        threads_wait(l, &c->stream, advance, &o);
        lost = c->stream.lost;
        pthread_mutex_unlock(&l->lock);
        Py_END_ALLOW_THREADS
    }
    if (!lost)
        return 0;
    PyErr_SetString(l->state->client_disconnected, "the client is gone");
    return -1;
}

struct reset {
    Call *call;
    const char *text;
};

static bool write_reset(void *argument)
{
    struct reset *r = argument;
    struct stream *s = &r->call->stream;
    uint32_t length = (uint32_t)strlen(r->text);
    if (s->lost || r->call->ended)
        return true;
    uint8_t *p = link_frame(
        s->link, (struct frame){frame_padded(FRAME_HEADER + length), s->id, FRAME_RESET, 0, RESET_APP_ERROR, length});
    if (p) {
        memcpy(p + FRAME_HEADER, r->text, length);
        stream_ended(r->call);
    }
    link_publish(s->link);
    return p;
}

void reply_reset(Call *c, const char *text)
{
    ThreadLoop *l = c->loop;
    struct reset r = {c, text};
    Py_BEGIN_ALLOW_THREADS pthread_mutex_lock(&l->lock);
    threads_wait(l, &c->stream, write_reset, &r);
    pthread_mutex_unlock(&l->lock);
    Py_END_ALLOW_THREADS
}

/* write(data): the imperative way to send a body. */
static PyObject *write_body(PyObject *self, PyObject *data)
{
    if (!PyBytes_Check(data)) {
        PyErr_Format(PyExc_TypeError, "write() takes bytes, not %.100s", Py_TYPE(data)->tp_name);
        return NULL;
    }
    if (reply_send((Call *)self, (const uint8_t *)PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data), false) < 0)
        return NULL;
    Py_RETURN_NONE;
}

static PyMethodDef write_method = {"write", write_body, METH_O, NULL};

/* A status line's own part of start_response. */
struct status {
    int number;
    struct span phrase; /* empty: the usual one */
};

static int bad_status(PyObject *status, const char *rule)
{
    PyErr_Format(PyUnicode_Check(status) ? PyExc_ValueError : PyExc_TypeError, "invalid status %R: %s", status, rule);
    return -1;
}

static const char *const STATUS_FORM = "expected a str of three digits, a space and a reason phrase, as in \"200 OK\" (PEP 3333)";

static int check_phrase(PyObject *status, struct span phrase)
{
    if (phrase.length > PHRASE_MAX)
        return bad_status(status, "a reason phrase has at most 1,024 characters");
    for (uint32_t i = 0; i < phrase.length; i++)
        if (phrase.start[i] < ' ' || phrase.start[i] == 0x7f)
            return bad_status(status, "control characters are not allowed");
    return 0;
}

static int check_number(PyObject *status, const uint8_t *text, int *number)
{
    *number = 0;
    for (int i = 0; i < 3; i++) {
        if (text[i] < '0' || text[i] > '9')
            return bad_status(status, STATUS_FORM);
        *number = *number * 10 + text[i] - '0';
    }
    return *number >= 200 ? 0 : bad_status(status, "it is no final one, which are from 200 to 999");
}

/* Takes "404 Not Found" apart. A phrase may be missing: some applications leave it out. */
static int parse_status(PyObject *status, struct status *s)
{
    static const char usual[] = "200 OK";
    if (!PyUnicode_Check(status) || PyUnicode_READY(status) < 0)
        return bad_status(status, STATUS_FORM);
    if (PyUnicode_KIND(status) != PyUnicode_1BYTE_KIND)
        return bad_status(status, "it has characters outside latin-1");
    const uint8_t *text = PyUnicode_1BYTE_DATA(status);
    Py_ssize_t length = PyUnicode_GET_LENGTH(status);
    if (length == sizeof usual - 1 && !memcmp(text, usual, sizeof usual - 1)) {
        *s = (struct status){200, {NULL, 0}};
        return 0;
    }
    if (length < 3 || (length > 3 && text[3] != ' '))
        return bad_status(status, STATUS_FORM);
    s->phrase = (struct span){text + 4, length > 4 ? (uint32_t)(length < UINT16_MAX ? length : UINT16_MAX) - 4 : 0};
    return check_number(status, text, &s->number) < 0 ? -1 : check_phrase(status, s->phrase);
}

/* Raises the exception of exc_info again. */
static void raise_again(PyObject *exc_info)
{
    PyObject *type, *value, *traceback;
    if (!PyArg_ParseTuple(exc_info, "OOO;exc_info must be a tuple of three", &type, &value, &traceback))
        return;
    PyErr_Restore(Py_NewRef(type), Py_NewRef(value), traceback == Py_None ? NULL : Py_NewRef(traceback));
}

/* True if start_response may set the head now; else an exception is set. */
static bool may_start(Call *c, PyObject *exc_info)
{
    bool with_error = exc_info && exc_info != Py_None;
    if (with_error && !PyTuple_Check(exc_info))
        PyErr_Format(PyExc_TypeError, "exc_info must be a tuple, not %.100s", Py_TYPE(exc_info)->tp_name);
    else if (with_error && c->head_sent)
        raise_again(exc_info);
    else if (!with_error && c->started)
        PyErr_SetString(PyExc_AssertionError, "start_response was called a second time without exc_info");
    else
        return true;
    return false;
}

/* Encodes the head in place of one that was there before. */
static int set_head(Call *c, const struct status *line, PyObject *headers)
{
    struct fields f;
    if (fields_encode(&f, headers, FIELD_LATIN1, c->stream.link->frame_max - HEAD_SIZE - line->phrase.length) < 0)
        return -1;
    uint8_t *data = line->phrase.length ? PyMem_Realloc(f.data, f.size + line->phrase.length) : f.data;
    if (!data) {
        PyMem_Free(f.data);
        PyErr_NoMemory();
        return -1;
    }
    if (line->phrase.length)
        memcpy(data + f.size, line->phrase.start, line->phrase.length);
    PyMem_Free(c->head);
    c->head = data;
    c->head_size = f.size + line->phrase.length;
    c->head_fields = f.count;
    c->head_phrase = (uint16_t)line->phrase.length;
    c->status = (uint16_t)line->number;
    c->started = true;
    return 0;
}

static PyObject *start_response(PyObject *self, PyObject *args, PyObject *kwargs)
{
    static char *keywords[] = {"status", "response_headers", "exc_info", NULL};
    Call *c = (Call *)self;
    PyObject *status, *headers, *exc_info = NULL;
    struct status line;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OO|O:start_response", keywords, &status, &headers, &exc_info) ||
        !may_start(c, exc_info) || parse_status(status, &line) < 0)
        return NULL;
    if (!PyList_Check(headers)) {
        PyErr_Format(PyExc_TypeError, "response headers must be a list of tuples, not %.100s", Py_TYPE(headers)->tp_name);
        return NULL;
    }
    if (set_head(c, &line, headers) < 0)
        return NULL;
    return PyCFunction_New(&write_method, self);
}

PyMethodDef start_response_method = {"start_response", (PyCFunction)(void (*)(void))start_response,
                                     METH_VARARGS | METH_KEYWORDS, NULL};
