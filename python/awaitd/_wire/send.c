/* send(): checks a message of the application and turns it into frames. */
#include "exchange.h"

static int raise_order(Exchange *x, PyObject *type)
{
    const char *expected = x->complete      ? "nothing, since the response is complete"
                           : !x->start_sent ? "'http.response.start'"
                           : !x->body_sent  ? "'http.response.body'"
                                            : "'http.response.trailers'";
    PyErr_Format(PyExc_RuntimeError, "unexpected ASGI message %R: expected %s", type, expected);
    return -1;
}

/* A borrowed value of the message, or NULL (without exception unless one is raised). Messages are dicts. */
static PyObject *field(PyObject *message, PyObject *key)
{
    return PyDict_GetItemWithError(message, key);
}

static int flag_of(PyObject *message, PyObject *key)
{
    PyObject *value = field(message, key);
    return value ? PyObject_IsTrue(value) : PyErr_Occurred() ? -1 : 0;
}

static int status_of(Exchange *x, PyObject *message)
{
    PyObject *status = field(message, x->loop->state->str.status);
    if (!status || !PyLong_Check(status)) {
        if (!PyErr_Occurred())
            PyErr_Format(PyExc_TypeError, "status of http.response.start must be an int, not %.100s",
                         status ? Py_TYPE(status)->tp_name : "missing");
        return -1;
    }
    int overflow;
    long number = PyLong_AsLongAndOverflow(status, &overflow);
    if (overflow || number < 200 || number > 999) {
        PyErr_Format(PyExc_ValueError, "status of http.response.start must be from 200 to 999, got %R", status);
        return -1;
    }
    return (int)number;
}

static uint32_t fields_limit(Exchange *x)
{
    return x->link->frame_max - HEAD_SIZE;
}

static int encode_headers(Exchange *x, PyObject *message, PyObject *key, struct fields *f)
{
    PyObject *headers = field(message, key);
    if (!headers && PyErr_Occurred())
        return -1;
    PyObject *owned = headers ? Py_NewRef(headers) : PyTuple_New(0);
    int result = owned ? fields_encode(f, owned, FIELD_BYTES, fields_limit(x)) : -1;
    Py_XDECREF(owned);
    return result;
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

static int send_start(Exchange *x, PyObject *message, PyObject *type)
{
    struct state_strings *str = &x->loop->state->str;
    struct fields f;
    if (x->start_sent)
        return raise_order(x, type);
    int status = status_of(x, message);
    int trailers = status < 0 ? -1 : flag_of(message, str->trailers);
    if (trailers < 0 || encode_headers(x, message, str->headers, &f) < 0)
        return -1;
    if (x->start_sent) { /* an iterator of headers that sends */
        PyMem_Free(f.data);
        return raise_order(x, type);
    }
    x->status = (uint16_t)status;
    x->with_trailers = trailers;
    x->head = f.data;
    x->head_size = f.size;
    x->head_fields = f.count;
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
        exchange_wake(x, WAIT_RECEIVE);
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
    if (output_body(x, owner, body, length, offset, end) < 0)
        return -1;
    if (!more)
        body_ended(x);
    output_commit(x);
    return 0;
}

static int send_buffer(Exchange *x, PyObject *body, bool more)
{
    Py_buffer view;
    if (PyUnicode_Check(body) || !PyObject_CheckBuffer(body)) {
        PyErr_Format(PyExc_TypeError, "body of http.response.body must be bytes, not %.100s", Py_TYPE(body)->tp_name);
        return -1;
    }
    if (PyObject_GetBuffer(body, &view, PyBUF_SIMPLE) < 0)
        return -1;
    int result = send_bytes(x, body, view.buf, view.len, more);
    PyBuffer_Release(&view);
    return result;
}

static int send_body(Exchange *x, PyObject *message, PyObject *type)
{
    State *s = x->loop->state;
    if (!x->start_sent || x->body_sent)
        return raise_order(x, type);
    int more = flag_of(message, s->str.more_body);
    PyObject *body = more < 0 ? NULL : field(message, s->str.body);
    if (more < 0 || (!body && PyErr_Occurred()))
        return -1;
    if (!body)
        body = s->empty_bytes;
    if (PyBytes_CheckExact(body))
        return send_bytes(x, body, (const uint8_t *)PyBytes_AS_STRING(body), PyBytes_GET_SIZE(body), more);
    Py_INCREF(body);
    int result = send_buffer(x, body, more);
    Py_DECREF(body);
    return result;
}

static int send_trailers(Exchange *x, PyObject *message, PyObject *type)
{
    struct state_strings *str = &x->loop->state->str;
    struct fields f;
    if (!x->with_trailers || !x->body_sent || x->complete)
        return raise_order(x, type);
    int more = flag_of(message, str->more_trailers);
    PyObject *headers = more < 0 ? NULL : field(message, str->headers);
    if (more < 0 || PyErr_Occurred())
        return -1;
    if (!x->trailers && !(x->trailers = PyList_New(0)))
        return -1;
    PyObject *extended = headers ? PySequence_InPlaceConcat(x->trailers, headers) : Py_NewRef(x->trailers);
    Py_XDECREF(extended);
    if (!extended)
        return -1;
    if (more)
        return 0;
    if (fields_encode(&f, x->trailers, FIELD_BYTES, fields_limit(x)) < 0)
        return -1;
    int result = output_end(x, &f);
    PyMem_Free(f.data);
    x->complete = true;
    exchange_wake(x, WAIT_RECEIVE);
    output_commit(x);
    return result;
}

/* [(b"link", value), ...] of an early hint. */
static PyObject *link_headers(PyObject *links)
{
    PyObject *list = PySequence_List(links);
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
    if (x->start_sent)
        return raise_order(x, type);
    PyObject *links = field(message, x->loop->state->str.links);
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

static int write_file(Exchange *x, const char *path, Py_ssize_t length)
{
    uint32_t size = frame_padded(FRAME_HEADER + FILE_PAYLOAD + (uint32_t)length);
    if (send_held_head(x) < 0)
        return -1;
    uint8_t *p = output_frame(x, (struct frame){size, x->stream, FRAME_FILE, FLAG_END_STREAM, FILE_PATH, (uint32_t)length});
    if (!p)
        return -1;
    store64(p + FRAME_HEADER, 0);
    store64(p + FRAME_HEADER + 8, FILE_TO_END);
    memcpy(p + FRAME_HEADER + FILE_PAYLOAD, path, (size_t)length);
    body_ended(x);
    output_commit(x);
    return 0;
}

static int send_path(Exchange *x, PyObject *message, PyObject *type)
{
    enum { PATH_LIMIT = 4096 };
    if (!x->start_sent || x->body_sent)
        return raise_order(x, type);
    if (x->with_trailers) {
        PyErr_SetString(PyExc_ValueError, "http.response.pathsend can't be combined with trailers");
        return -1;
    }
    PyObject *path = field(message, x->loop->state->str.path), *encoded = NULL;
    if (!path || !PyUnicode_FSConverter(path, &encoded)) {
        if (!PyErr_Occurred())
            PyErr_SetString(PyExc_TypeError, "http.response.pathsend must have a path, a str");
        return -1;
    }
    int result = -1;
    if (PyBytes_AS_STRING(encoded)[0] != '/' || PyBytes_GET_SIZE(encoded) >= PATH_LIMIT)
        PyErr_Format(PyExc_ValueError, "path of http.response.pathsend must be absolute and shorter than %d bytes, got %R",
                     PATH_LIMIT, path);
    else
        result = write_file(x, PyBytes_AS_STRING(encoded), PyBytes_GET_SIZE(encoded));
    Py_DECREF(encoded);
    return result;
}

static int unknown_type(PyObject *type)
{
    PyErr_Format(PyExc_ValueError,
                 "unknown ASGI message type %R: expected 'http.response.start', 'http.response.body' or one of an extension",
                 type);
    return -1;
}

static int dispatch(Exchange *x, PyObject *message, PyObject *type)
{
    struct state_strings *str = &x->loop->state->str;
    struct {
        PyObject *type;
        int (*send)(Exchange *, PyObject *, PyObject *);
    } known[] = {
        {str->response_start, send_start},  {str->response_body, send_body}, {str->response_trailers, send_trailers},
        {str->early_hint, send_early_hint}, {str->pathsend, send_path},
    };
    enum { COUNT = sizeof known / sizeof *known };
    for (size_t i = 0; i < COUNT; i++)
        if (known[i].type == type)
            return known[i].send(x, message, type);
    for (size_t i = 0; i < COUNT; i++)
        if (PyUnicode_Compare(known[i].type, type) == 0)
            return known[i].send(x, message, type);
    return unknown_type(type);
}

/* The type of the message, borrowed; NULL with an exception. */
static PyObject *type_of(Exchange *x, PyObject *message)
{
    if (!PyDict_Check(message)) {
        PyErr_Format(PyExc_TypeError, "an ASGI message must be a dict, not %.100s", Py_TYPE(message)->tp_name);
        return NULL;
    }
    PyObject *type = field(message, x->loop->state->str.type);
    if (type && PyUnicode_Check(type))
        return type;
    if (!PyErr_Occurred())
        PyErr_Format(PyExc_TypeError, "an ASGI message must have a type, a str, got %R", message);
    return NULL;
}

static PyObject *send(PyObject *self, PyObject *message)
{
    Exchange *x = (Exchange *)self;
    State *s = x->loop->state;
    PyObject *type = type_of(x, message);
    if (!type)
        return NULL;
    if (x->lost) {
        PyErr_SetString(s->client_disconnected, "the client is gone");
        return NULL;
    }
    if (x->complete || x->app_ended) {
        raise_order(x, type);
        return NULL;
    }
    if (dispatch(x, message, type) < 0)
        return NULL;
    return x->first_piece ? wait_new(x, WAIT_SEND) : Py_NewRef(s->ready);
}

PyMethodDef send_method = {"send", send, METH_O, NULL};
