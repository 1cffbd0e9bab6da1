/* A WebSocket, from its client to the application: messages, credit, the end.
 *
 * A message that came whole waits as the object that receive() will give. One that comes in parts is put together in a buffer
 * that grows by doubling. Credit is granted again for what was received, and for the parts of an unfinished message as soon as
 * the application waits for it, since it may be larger than the window. */
#include "exchange.h"

/* Grants again what is no longer here, once that is half of the window. */
void socket_taken(Exchange *x, uint32_t cost)
{
    x->consumed += cost;
    if (x->consumed < WINDOW / 2 || x->stream_over)
        return;
    uint32_t credit = x->consumed;
    x->consumed = 0;
    output_grant(x, credit);
}

static void drop_assembly(Exchange *x)
{
    if (x->assembly)
        Py_XDECREF(x->assembly->buffer);
    PyMem_Free(x->assembly);
    x->assembly = NULL;
}

struct inbound *socket_take(Exchange *x)
{
    struct inbound *m = x->first_in;
    x->first_in = m->next;
    if (!x->first_in)
        x->last_in = NULL;
    return m;
}

void socket_clear(Exchange *x)
{
    while (x->first_in) {
        struct inbound *m = socket_take(x);
        Py_DECREF(m->data);
        PyMem_Free(m);
    }
    drop_assembly(x);
}

/* The application hears of no other end. */
static void set_close(Exchange *x, uint16_t code, PyObject *reason)
{
    if (x->kind == KIND_UDP) { /* hears of no reason, and its transport is there */
        Py_XDECREF(reason);
        return;
    }
    Py_XSETREF(x->close_reason, reason);
    x->close_code = code;
}

int socket_end(Exchange *x, uint16_t code, PyObject *reason)
{
    Py_ssize_t length = 0;
    const char *text = reason ? PyUnicode_AsUTF8AndSize(reason, &length) : "";
    struct frame header = {frame_padded(FRAME_HEADER + (uint32_t)length), x->stream, FRAME_CLOSE, 0, code, (uint32_t)length};
    uint8_t *p = text ? output_frame(x, header) : NULL;
    if (!p) {
        Py_XDECREF(reason);
        return -1;
    }
    memcpy(p + FRAME_HEADER, text, (size_t)length);
    x->closed = x->complete = true;
    set_close(x, code, reason);
    output_commit(x);
    wait_wake(x, WAIT_RECEIVE);
    return 0;
}

/* Ends what can't go on: the client and the application hear the same. Clears the exception. */
static void fail(Exchange *x)
{
    uint16_t code = PyErr_ExceptionMatches(PyExc_UnicodeDecodeError) ? CLOSE_NOT_UTF8 : CLOSE_APP_ERROR;
    if (code == CLOSE_NOT_UTF8)
        PyErr_Clear();
    else
        PyErr_WriteUnraisable((PyObject *)x);
    output_drop(x);
    if (socket_end(x, code, NULL) < 0)
        PyErr_WriteUnraisable((PyObject *)x);
    x->lost = true;
    wait_wake(x, WAIT_SEND);
}

/* Queues a whole message; takes over data. */
static int add_message(Exchange *x, PyObject *data, uint16_t form, uint32_t cost)
{
    struct inbound *m = data ? PyMem_Malloc(sizeof *m) : NULL;
    if (!m) {
        if (data)
            PyErr_NoMemory();
        Py_XDECREF(data);
        return -1;
    }
    *m = (struct inbound){NULL, data, cost, form};
    if (x->last_in)
        x->last_in->next = m;
    else
        x->first_in = m;
    x->last_in = m;
    return 0;
}

static PyObject *text_or_bytes(const char *bytes, Py_ssize_t length, uint16_t form)
{
    return form == MESSAGE_TEXT ? PyUnicode_DecodeUTF8(bytes, length, NULL) : PyBytes_FromStringAndSize(bytes, length);
}

/* Room for length more bytes. */
static int grow(struct assembly *a, uint32_t length)
{
    Py_ssize_t least = a->length + length, size = a->buffer ? PyBytes_GET_SIZE(a->buffer) : 0;
    if (a->buffer && least <= size)
        return 0;
    size = least > 2 * size ? least : 2 * size;
    if (a->buffer)
        return _PyBytes_Resize(&a->buffer, size);
    a->buffer = PyBytes_FromStringAndSize(NULL, size);
    return a->buffer ? 0 : -1;
}

static int add_part(Exchange *x, const uint8_t *bytes, uint32_t length, uint32_t cost)
{
    if (!x->assembly && !(x->assembly = PyMem_Calloc(1, sizeof *x->assembly))) {
        PyErr_NoMemory();
        return -1;
    }
    struct assembly *a = x->assembly;
    if (grow(a, length) < 0)
        return -1;
    memcpy(PyBytes_AS_STRING(a->buffer) + a->length, bytes, length);
    a->length += length;
    a->cost += cost;
    return 0;
}

/* A whole datagram: is queued, or was taken by a protocol. */
static int datagram(Exchange *x, const uint8_t *bytes, Py_ssize_t length, uint32_t cost)
{
    PyObject *data = datagram_take(x, bytes, length);
    if (data != Py_None)
        return add_message(x, data, MESSAGE_BINARY, cost);
    socket_taken(x, cost);
    Py_DECREF(data);
    return 0;
}

/* All parts of a datagram are there. */
static int finish_datagram(Exchange *x)
{
    struct assembly a = *x->assembly;
    x->assembly->buffer = NULL; /* the application may do anything */
    drop_assembly(x);
    int result = datagram(x, (const uint8_t *)PyBytes_AS_STRING(a.buffer), a.length, a.cost);
    Py_DECREF(a.buffer);
    return result;
}

/* The last part is there. */
static int finish_assembly(Exchange *x, uint16_t form)
{
    struct assembly *a = x->assembly;
    PyObject *data = NULL;
    if (x->kind == KIND_UDP)
        return finish_datagram(x);
    if (form == MESSAGE_TEXT) {
        data = PyUnicode_DecodeUTF8(PyBytes_AS_STRING(a->buffer), a->length, NULL);
    } else if (_PyBytes_Resize(&a->buffer, a->length) == 0) {
        data = a->buffer;
        a->buffer = NULL;
    }
    int result = add_message(x, data, form, a->cost);
    drop_assembly(x);
    return result;
}

/* Grants for an unfinished message, when the application waits and nothing is queued before it. */
static void grant_assembly(Exchange *x)
{
    if (!x->assembly)
        return;
    uint32_t cost = x->assembly->cost;
    x->assembly->cost = 0;
    socket_taken(x, cost);
}

/* A part of a message, or all of it. */
static void message(Exchange *x, const uint8_t *bytes, struct frame f)
{
    uint32_t least = x->kind == KIND_UDP ? DATAGRAM_COST : x->loop->message_cost, cost = f.length > least ? f.length : least;
    bool more = f.flags & FLAG_MORE, control = f.aux == MESSAGE_PING || f.aux == MESSAGE_PONG;
    int result;
    if (x->complete || x->lost || x->app_ended)
        return;
    if (x->kind == KIND_TCP && f.aux == MESSAGE_TEXT) {
        socket_taken(x, cost);
        stream_tell(x, bytes, f.length);
        return;
    }
    if (x->kind == KIND_UDP && !more && !x->assembly)
        result = datagram(x, bytes, f.length, cost);
    else if (x->kind == KIND_TCP || control || (!more && !x->assembly)) /* a ping may come between the parts of a message */
        result = add_message(x, text_or_bytes((const char *)bytes, f.length, f.aux), f.aux, cost);
    else
        result = add_part(x, bytes, f.length, cost);
    if (result == 0 && !more && !control && x->assembly && x->kind != KIND_TCP)
        result = finish_assembly(x, f.aux);
    if (result < 0)
        fail(x);
    else if (more && x->waiters[WAIT_RECEIVE])
        grant_assembly(x);
}

/* The client has closed, or is gone. */
static void client_closed(Exchange *x, const uint8_t *reason, struct frame f)
{
    PyObject *text = f.length ? PyUnicode_DecodeUTF8((const char *)reason, f.length, "replace") : NULL;
    if (PyErr_Occurred())
        PyErr_WriteUnraisable((PyObject *)x);
    if (x->complete)
        Py_XDECREF(text); /* the application heard of its own end */
    else
        set_close(x, f.aux, text);
    x->lost = true;
    output_drop(x);
    if (x->kind != KIND_TCP)
        drop_assembly(x);
    exchange_leave_stream(x);
    wait_wake(x, WAIT_SEND);
    stream_tell(x, NULL, 0);
}

bool socket_frame(Exchange *x, const uint8_t *payload, struct frame f)
{
    if (f.type == FRAME_MESSAGE)
        message(x, payload, f);
    else if (f.type == FRAME_CLOSE)
        client_closed(x, payload, f);
    else if (f.type == FRAME_END)
        x->body_whole = true;
    return x->first_in || x->lost || x->body_whole;
}

/* {"type": "smtp.receive", "text": ...} */
static PyObject *mail_message(State *s, const struct inbound *m)
{
    PyObject *message = PyDict_New(), *key = m->form == MESSAGE_TEXT ? s->str.text : s->str.bytes;
    if (message && (PyDict_SetItem(message, s->str.type, s->str.smtp_receive) < 0 || PyDict_SetItem(message, key, m->data) < 0))
        Py_CLEAR(message);
    return message;
}

/* {"type": "websocket.receive", "bytes": ..., "text": ...}, or {"type": "awaitd.websocket.ping", "bytes": ...} */
static PyObject *message_of(Exchange *x, const struct inbound *m)
{
    if (x->kind == KIND_SMTP)
        return mail_message(x->loop->state, m);
    State *s = x->loop->state;
    bool text = m->form == MESSAGE_TEXT, control = m->form == MESSAGE_PING || m->form == MESSAGE_PONG;
    PyObject *type = m->form == MESSAGE_PING ? s->str.socket_ping : s->str.socket_pong;
    PyObject *message = control ? PyDict_New() : PyDict_Copy(text ? s->text_message : s->bytes_message);
    if (message && ((control && PyDict_SetItem(message, s->str.type, type) < 0) ||
                    PyDict_SetItem(message, text ? s->str.text : s->str.bytes, m->data) < 0))
        Py_CLEAR(message);
    return message;
}

static PyObject *receive_message(Exchange *x)
{
    struct inbound *m = socket_take(x);
    PyObject *message = message_of(x, m);
    Py_DECREF(m->data);
    socket_taken(x, m->cost);
    PyMem_Free(m);
    return message;
}

static PyObject *connect_message(Exchange *x)
{
    struct state_strings *str = &x->loop->state->str;
    PyObject *message = PyDict_New();
    if (message && PyDict_SetItem(message, str->type, str->socket_connect) < 0)
        Py_CLEAR(message);
    x->connected = message;
    return message;
}

static PyObject *disconnect_message(Exchange *x)
{
    struct state_strings *str = &x->loop->state->str;
    PyObject *code = PyLong_FromLong(x->close_code ? x->close_code : CLOSE_BROKEN);
    PyObject *reason = x->close_code && x->close_reason ? x->close_reason : str->empty;
    PyObject *message = code ? PyDict_New() : NULL;
    if (message &&
        (PyDict_SetItem(message, str->type, x->kind == KIND_SMTP ? str->smtp_disconnect : str->socket_disconnect) < 0 ||
         PyDict_SetItem(message, str->code, code) < 0 || PyDict_SetItem(message, str->reason, reason) < 0))
        Py_CLEAR(message);
    Py_XDECREF(code);
    return message;
}

PyObject *socket_poll(Exchange *x)
{
    if (x->kind == KIND_TCP)
        return stream_poll(x);
    if (x->kind == KIND_UDP)
        return datagram_poll(x);
    if (!x->connected && x->kind == KIND_WEBSOCKET)
        return connect_message(x);
    if (x->complete || x->app_ended)
        return disconnect_message(x);
    if (x->first_in)
        return receive_message(x);
    if (x->lost)
        return disconnect_message(x);
    grant_assembly(x);
    return NULL;
}
