/* send(): checks a message of the application and turns it into frames. */
#include "exchange.h"

#include <unistd.h>

/* Which messages an HTTP response may go on with. */
static const char *response_expected(Exchange *x)
{
    return x->complete      ? "nothing, since the response is complete"
           : x->app_ended   ? "nothing, since the application has returned"
           : !x->start_sent ? "'http.response.start'"
           : !x->body_sent  ? "'http.response.body'"
                            : "'http.response.trailers'";
}

int send_raise_order(Exchange *x, PyObject *type)
{
    const char *expected = x->socket ? socket_expected(x) : response_expected(x);
    PyErr_Format(PyExc_RuntimeError, "unexpected ASGI message %R: expected %s", type, expected);
    return -1;
}

/* A borrowed value of the message, or NULL (without exception unless one is raised). Messages are dicts. */
PyObject *send_field(PyObject *message, PyObject *key)
{
    return PyDict_GetItemWithError(message, key);
}

static int flag_of(PyObject *message, PyObject *key)
{
    PyObject *value = send_field(message, key);
    return value ? PyObject_IsTrue(value) : PyErr_Occurred() ? -1 : 0;
}

static int status_of(Exchange *x, PyObject *message, PyObject *type)
{
    PyObject *status = send_field(message, x->loop->state->str.status);
    if (!status || !PyLong_Check(status)) {
        if (!PyErr_Occurred())
            PyErr_Format(PyExc_TypeError, "status of %U must be an int, not %.100s", type,
                         status ? Py_TYPE(status)->tp_name : "missing");
        return -1;
    }
    int overflow;
    long number = PyLong_AsLongAndOverflow(status, &overflow);
    if (overflow || number < 200 || number > 999) {
        PyErr_Format(PyExc_ValueError, "status of %U must be from 200 to 999, got %R", type, status);
        return -1;
    }
    return (int)number;
}

static uint32_t fields_limit(Exchange *x)
{
    return x->link->frame_max - HEAD_SIZE;
}

static int encode_headers(Exchange *x, PyObject *message, uint32_t limit, struct fields *f)
{
    PyObject *headers = send_field(message, x->loop->state->str.headers);
    if (!headers && PyErr_Occurred())
        return -1;
    PyObject *owned = headers ? Py_NewRef(headers) : PyTuple_New(0);
    int result = owned ? fields_encode(f, owned, FIELD_BYTES, limit) : -1;
    Py_XDECREF(owned);
    return result;
}

static int bad_reason(PyObject *type, const char *rule)
{
    PyErr_Format(PyExc_ValueError, "reason of %U %s", type, rule);
    return -1;
}

/* The reason phrase, as bytes; NULL for the usual one. */
static int reason_of(Exchange *x, PyObject *message, PyObject *type, PyObject **phrase)
{
    *phrase = NULL;
    PyObject *reason = send_field(message, x->loop->state->str.reason);
    if (!reason || reason == Py_None)
        return PyErr_Occurred() ? -1 : 0;
    if (!PyUnicode_Check(reason)) {
        PyErr_Format(PyExc_TypeError, "reason of %U must be a str, not %.100s", type, Py_TYPE(reason)->tp_name);
        return -1;
    }
    if (PyUnicode_KIND(reason) != PyUnicode_1BYTE_KIND)
        return bad_reason(type, "has characters outside latin-1");
    Py_ssize_t length = PyUnicode_GET_LENGTH(reason);
    const uint8_t *text = PyUnicode_1BYTE_DATA(reason);
    if (length > PHRASE_MAX)
        return bad_reason(type, "has more than 1,024 characters");
    for (Py_ssize_t i = 0; i < length; i++)
        if (text[i] < ' ' || text[i] == 0x7f)
            return bad_reason(type, "has control characters");
    *phrase = length ? PyBytes_FromStringAndSize((const char *)text, length) : NULL;
    return length && !*phrase ? -1 : 0;
}

/* The fields, and the phrase behind them. */
static int encode_head(Exchange *x, PyObject *message, PyObject *phrase, struct fields *f)
{
    uint32_t length = phrase ? (uint32_t)PyBytes_GET_SIZE(phrase) : 0;
    if (encode_headers(x, message, fields_limit(x) - length, f) < 0)
        return -1;
    if (!length)
        return 0;
    uint8_t *grown = PyMem_Realloc(f->data, f->size + length);
    if (!grown) {
        PyMem_Free(f->data);
        PyErr_NoMemory();
        return -1;
    }
    memcpy(grown + f->size, PyBytes_AS_STRING(phrase), length);
    f->data = grown;
    f->size += length;
    return 0;
}

/* Lets the head out when this turn of the event loop is over, unless a body comes first. */
static int hold(Exchange *x)
{
    x->head_held = true;
    if (x->stepping || x->is_held)
        return 0;
    x->is_held = true;
    x->next_held = x->loop->held;
    x->loop->held = (Exchange *)Py_NewRef((PyObject *)x);
    return loop_schedule_flush(x->loop);
}

int send_response_start(Exchange *x, PyObject *message, PyObject *type)
{
    struct state_strings *str = &x->loop->state->str;
    struct fields f;
    if (x->start_sent)
        return send_raise_order(x, type);
    int status = status_of(x, message, type);
    int trailers = status < 0 ? -1 : x->socket ? 0 : flag_of(message, str->trailers);
    PyObject *phrase;
    if (trailers < 0 || reason_of(x, message, type, &phrase) < 0)
        return -1;
    uint16_t phrase_length = phrase ? (uint16_t)PyBytes_GET_SIZE(phrase) : 0;
    int encoded = encode_head(x, message, phrase, &f);
    Py_XDECREF(phrase);
    if (encoded < 0)
        return -1;
    if (x->start_sent || x->accepted || x->complete) { /* an iterator of headers that sends */
        PyMem_Free(f.data);
        return send_raise_order(x, type);
    }
    x->status = (uint16_t)status;
    x->with_trailers = trailers;
    x->head = f.data;
    x->head_size = f.size;
    x->head_fields = f.count;
    x->head_phrase = phrase_length;
    x->start_sent = true;
    return hold(x);
}

int send_held_head(Exchange *x)
{
    Py_ssize_t sent;
    if (!x->head_held || output_head(x, (const uint8_t *)"", 0, false, &sent) < 0)
        return x->head_held ? -1 : 0;
    output_commit(x);
    return 0;
}

/* Marks the end of the body; what is left of the response are trailers, or nothing. */
static void body_ended(Exchange *x)
{
    x->body_sent = true;
    x->complete = !x->with_trailers;
    if (x->complete)
        wait_wake(x, WAIT_RECEIVE);
}

static int send_bytes(Exchange *x, PyObject *owner, const uint8_t *body, Py_ssize_t length, bool more)
{
    Py_ssize_t offset = 0;
    bool end = !more && !x->with_trailers;
    if (x->head_held) {
        if (output_head(x, body, length, end, &offset) < 0)
            return -1;
        end = end && offset < length; /* else the HEAD has ended the stream */
    }
    if (output_payload(x, owner, (struct payload){body, length, 0, end}, offset) < 0)
        return -1;
    if (!more)
        body_ended(x);
    output_commit(x);
    return 0;
}

static int send_buffer(Exchange *x, PyObject *body, bool more, PyObject *type)
{
    Py_buffer view;
    if (PyUnicode_Check(body) || !PyObject_CheckBuffer(body)) {
        PyErr_Format(PyExc_TypeError, "body of %U must be bytes, not %.100s", type, Py_TYPE(body)->tp_name);
        return -1;
    }
    if (PyObject_GetBuffer(body, &view, PyBUF_SIMPLE) < 0)
        return -1;
    bool sent = x->body_sent; /* by code of the application's that made the buffer */
    int result = sent ? send_raise_order(x, type) : send_bytes(x, body, view.buf, view.len, more);
    PyBuffer_Release(&view);
    return result;
}

int send_response_body(Exchange *x, PyObject *message, PyObject *type)
{
    State *s = x->loop->state;
    int more = flag_of(message, s->str.more_body);
    if (more >= 0 && (!x->start_sent || x->body_sent)) /* looked at last: a flag may send */
        return send_raise_order(x, type);
    PyObject *body = more < 0 ? NULL : send_field(message, s->str.body);
    if (more < 0 || (!body && PyErr_Occurred()))
        return -1;
    if (!body)
        body = s->empty_bytes;
    if (PyBytes_CheckExact(body))
        return send_bytes(x, body, (const uint8_t *)PyBytes_AS_STRING(body), PyBytes_GET_SIZE(body), more);
    Py_INCREF(body);
    int result = send_buffer(x, body, more, type);
    Py_DECREF(body);
    return result;
}

static int send_trailers(Exchange *x, PyObject *message, PyObject *type)
{
    struct state_strings *str = &x->loop->state->str;
    struct fields f;
    if (!x->with_trailers || !x->body_sent || x->complete)
        return send_raise_order(x, type);
    int more = flag_of(message, str->more_trailers);
    PyObject *headers = more < 0 ? NULL : send_field(message, str->headers);
    if (more < 0 || PyErr_Occurred())
        return -1;
    if (!x->trailers && !(x->trailers = PyList_New(0)))
        return -1;
    if (headers && !Py_TYPE(headers)->tp_iter && !PySequence_Check(headers)) {
        PyErr_Format(PyExc_TypeError,
                     "headers of http.response.trailers must be an iterable of (name, value) pairs, not %.100s",
                     Py_TYPE(headers)->tp_name);
        return -1;
    }
    PyObject *extended = headers ? PySequence_InPlaceConcat(x->trailers, headers) : Py_NewRef(x->trailers);
    Py_XDECREF(extended);
    if (!extended)
        return -1;
    if (x->complete) /* an iterator of headers that sends */
        return send_raise_order(x, type);
    if (more)
        return 0;
    if (fields_encode(&f, x->trailers, FIELD_BYTES, fields_limit(x)) < 0)
        return -1;
    int result = output_end(x, &f);
    PyMem_Free(f.data);
    x->complete = true;
    wait_wake(x, WAIT_RECEIVE);
    output_commit(x);
    return result;
}

/* [(b"link", value), ...] of an early hint. */
static PyObject *link_headers(PyObject *links)
{
    PyObject *list = PySequence_List(links);
    if (!list && PyErr_ExceptionMatches(PyExc_TypeError))
        PyErr_Format(PyExc_TypeError, "links of http.response.early_hint must be an iterable of bytes, not %.100s",
                     Py_TYPE(links)->tp_name);
    for (Py_ssize_t i = 0; list && i < PyList_GET_SIZE(list); i++) {
        PyObject *pair = Py_BuildValue("(yO)", "link", PyList_GET_ITEM(list, i));
        if (!pair || PyList_SetItem(list, i, pair) < 0)
            Py_CLEAR(list);
    }
    return list;
}

static int send_early_hint(Exchange *x, PyObject *message, PyObject *type)
{
    enum { EARLY_HINTS = 103 };
    struct fields f;
    if (x->start_sent && !x->head_held) /* a head that is held still comes after it */
        return send_raise_order(x, type);
    PyObject *links = send_field(message, x->loop->state->str.links);
    if (!links) {
        if (!PyErr_Occurred())
            PyErr_SetString(PyExc_TypeError, "http.response.early_hint must have links, an iterable of bytes");
        return -1;
    }
    PyObject *headers = link_headers(links);
    int result = headers ? fields_encode(&f, headers, FIELD_BYTES, fields_limit(x)) : -1;
    Py_XDECREF(headers);
    if (result < 0)
        return -1;
    uint32_t size = frame_padded(HEAD_SIZE + f.size);
    uint8_t *p = output_frame(x, (struct frame){size, x->stream, FRAME_INFORM, 0, EARLY_HINTS, 0});
    if (p) {
        store64(p + FRAME_HEADER, f.count);
        memcpy(p + HEAD_SIZE, f.data, f.size);
        output_commit(x);
    }
    PyMem_Free(f.data);
    return p ? 0 : -1;
}

/* The last part of the body: the server sends it. */
static int send_last_part(Exchange *x, const struct file_part *part)
{
    if (send_held_head(x) < 0 || output_file(x, part) < 0)
        return -1;
    body_ended(x);
    output_commit(x);
    return 0;
}

static int send_path(Exchange *x, PyObject *message, PyObject *type)
{
    struct file_part part;
    if (!x->start_sent || x->body_sent)
        return send_raise_order(x, type);
    if (x->with_trailers) {
        PyErr_SetString(PyExc_ValueError, "http.response.pathsend can't be combined with trailers");
        return -1;
    }
    PyObject *path = send_field(message, x->loop->state->str.path);
    if ((!path && PyErr_Occurred()) || file_open(&part, path, "http.response.pathsend") < 0)
        return -1;
    int result = send_last_part(x, &part);
    close(part.fd);
    return result;
}

/* A part with more behind it: read and sent by a coroutine. */
static PyObject *send_other_part(Exchange *x, const struct file_part *part)
{
    PyObject *send = PyCFunction_New(&send_method, (PyObject *)x);
    PyObject *coroutine = send ? PyObject_CallFunction(x->loop->state->send_part, "OiKK", send, part->fd,
                                                       (unsigned long long)part->offset, (unsigned long long)part->count)
                               : NULL;
    Py_XDECREF(send);
    return coroutine;
}

/* The awaitable for a message that was accepted. */
static PyObject *sent(Exchange *x)
{
    State *s = x->loop->state;
    return x->first_piece ? wait_new(x, WAIT_SEND) : Py_NewRef(s->ready);
}

/* Works out which part of which file the message means. */
static int part_of(Exchange *x, PyObject *message, struct file_part *part, bool *at_position)
{
    struct state_strings *str = &x->loop->state->str;
    PyObject *keys[] = {str->file, str->offset, str->count}, *values[3];
    for (int i = 0; i < 3; i++) {
        values[i] = send_field(message, keys[i]);
        if (!values[i] && PyErr_Occurred())
            return -1;
    }
    for (int i = 0; i < 3; i++)
        Py_XINCREF(values[i]);
    int result = file_part_of(part, values[0], values[1], values[2], "http.response.zerocopysend");
    *at_position = !values[1] || values[1] == Py_None;
    for (int i = 0; i < 3; i++)
        Py_XDECREF(values[i]);
    return result;
}

static PyObject *send_part(Exchange *x, PyObject *message, PyObject *type)
{
    struct file_part part;
    bool at_position;
    int more = flag_of(message, x->loop->state->str.more_body);
    if (more < 0 || part_of(x, message, &part, &at_position) < 0)
        return NULL;
    if (!x->start_sent || x->body_sent) { /* looked at last: a fileno() may send */
        send_raise_order(x, type);
        return NULL;
    }
    if (!more && x->with_trailers) {
        PyErr_SetString(PyExc_ValueError, "the last http.response.zerocopysend can't be combined with trailers");
        return NULL;
    }
    PyObject *awaitable = more ? send_other_part(x, &part) : send_last_part(x, &part) < 0 ? NULL : sent(x);
    if (awaitable && at_position)
        file_part_read(&part);
    return awaitable;
}

static int unknown_type(PyObject *type)
{
    PyErr_Format(PyExc_ValueError,
                 "unknown ASGI message type %R: expected 'http.response.start', 'http.response.body' or one of an extension",
                 type);
    return -1;
}

static int send_debug(Exchange *x, PyObject *message, PyObject *type)
{
    if (!x->loop->debug)
        return unknown_type(type);
    PyObject *info = send_field(message, x->loop->state->str.info);
    if (!info || !PyDict_Check(info)) {
        if (!PyErr_Occurred())
            PyErr_Format(PyExc_TypeError, "info of http.response.debug must be a dict, not %.100s",
                         info ? Py_TYPE(info)->tp_name : "missing");
        return -1;
    }
    PyObject *result = PyObject_CallFunction(x->loop->debug, "KO", (unsigned long long)x->id, info);
    Py_XDECREF(result);
    return result ? 0 : -1;
}

static PyObject *dispatch(Exchange *x, PyObject *message, PyObject *type)
{
    struct state_strings *str = &x->loop->state->str;
    struct {
        PyObject *type;
        int (*send)(Exchange *, PyObject *, PyObject *);
    } known[] = {
        {str->response_start, send_response_start},
        {str->response_body, send_response_body},
        {str->response_trailers, send_trailers},
        {str->early_hint, send_early_hint},
        {str->pathsend, send_path},
        {str->response_debug, send_debug},
    };
    enum { COUNT = sizeof known / sizeof *known };
    for (size_t i = 0; i < COUNT; i++)
        if (known[i].type == type)
            return known[i].send(x, message, type) < 0 ? NULL : sent(x);
    for (size_t i = 0; i < COUNT; i++)
        if (PyUnicode_Compare(known[i].type, type) == 0)
            return known[i].send(x, message, type) < 0 ? NULL : sent(x);
    if (PyUnicode_Compare(str->zerocopysend, type) == 0)
        return send_part(x, message, type);
    unknown_type(type);
    return NULL;
}

/* The type of the message, borrowed; NULL with an exception. */
static PyObject *type_of(Exchange *x, PyObject *message)
{
    if (!PyDict_Check(message)) {
        PyErr_Format(PyExc_TypeError, "an ASGI message must be a dict, not %.100s", Py_TYPE(message)->tp_name);
        return NULL;
    }
    PyObject *type = send_field(message, x->loop->state->str.type);
    if (type && PyUnicode_Check(type))
        return type;
    if (!PyErr_Occurred())
        PyErr_Format(PyExc_TypeError, "an ASGI message must have a type, a str, got %R", message);
    return NULL;
}

/* A message whose type is held. */
static PyObject *send_typed(Exchange *x, PyObject *message, PyObject *type)
{
    if (x->lost) {
        PyErr_SetString(x->loop->state->client_disconnected, "the client is gone");
        return NULL;
    }
    if (x->complete || x->app_ended) {
        send_raise_order(x, type);
        return NULL;
    }
    if (x->socket)
        return socket_send(x, message, type) < 0 ? NULL : sent(x);
    return dispatch(x, message, type);
}

static PyObject *send(PyObject *self, PyObject *message)
{
    Exchange *x = (Exchange *)self;
    PyObject *type = type_of(x, message);
    if (!type)
        return NULL;
    Py_INCREF(type); /* the message may change while its values are looked at */
    PyObject *awaitable = send_typed(x, message, type);
    Py_DECREF(type);
    return awaitable;
}

PyMethodDef send_method = {"send", send, METH_O, NULL};
