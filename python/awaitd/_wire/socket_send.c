/* A WebSocket, from the application to its client: accept, messages, close, or an HTTP response in place of all that. */
#include "exchange.h"

const char *socket_expected(Exchange *x)
{
    if (x->kind != KIND_WEBSOCKET)
        return stream_expected(x);
    return x->closed       ? "nothing, since the application has closed the connection"
           : x->complete   ? "nothing, since the response is complete"
           : x->app_ended  ? "nothing, since the application has returned"
           : x->accepted   ? "'websocket.send' or 'websocket.close'"
           : x->start_sent ? "'websocket.http.response.body'"
                           : "'websocket.accept', 'websocket.close' or 'websocket.http.response.start'";
}

/* Two values of a message that may be missing, which is as good as None: NULL. They are the caller's, since all that runs code of the
 * application (a comparison of keys, a buffer, an iterator) may change the message. -1 with an exception. */
static int optional(PyObject *message, PyObject *first, PyObject **one, PyObject *second, PyObject **other)
{
    *other = NULL;
    *one = Py_XNewRef(send_field(message, first));
    if (*one || !PyErr_Occurred())
        *other = Py_XNewRef(send_field(message, second));
    if (PyErr_Occurred()) {
        Py_CLEAR(*one);
        return -1;
    }
    if (*one == Py_None)
        Py_CLEAR(*one);
    if (*other == Py_None)
        Py_CLEAR(*other);
    return 0;
}

/* What was allowed when send() was called may not be so after code of the application has run. */
static int check_order(Exchange *x, PyObject *type, bool accepted)
{
    if (x->lost) {
        PyErr_SetString(x->loop->state->client_disconnected, "the client is gone");
        return -1;
    }
    return x->complete || x->start_sent || x->accepted != accepted ? send_raise_order(x, type) : 0;
}

static int bad_type(const char *what, const char *expected, PyObject *got)
{
    PyErr_Format(PyExc_TypeError, "%s must be %s, not %.100s", what, expected, Py_TYPE(got)->tp_name);
    return -1;
}

/* The subprotocol's UTF-8, empty without one. -1 if the client has not offered it. */
static int check_subprotocol(Exchange *x, PyObject *subprotocol, struct span *s)
{
    Py_ssize_t length = 0;
    const char *text = "";
    if (subprotocol && !PyUnicode_Check(subprotocol))
        return bad_type("subprotocol of websocket.accept", "a str or None", subprotocol);
    PyObject *list = Py_NewRef(x->subprotocols); /* a comparison may accept */
    int offered = subprotocol ? PySequence_Contains(list, subprotocol) : 1;
    if (offered == 0)
        PyErr_Format(PyExc_ValueError, "subprotocol %R of websocket.accept was not offered: the client offers %R", subprotocol,
                     list);
    Py_DECREF(list);
    if (offered > 0 && subprotocol)
        text = PyUnicode_AsUTF8AndSize(subprotocol, &length);
    *s = (struct span){(const uint8_t *)text, (uint32_t)length};
    return offered > 0 && text ? 0 : -1;
}

/* Fields of the handshake that are the server's. */
static bool is_reserved(struct span name)
{
    static const char *const names[] = {"connection", "upgrade", "content-length", "transfer-encoding"};
    static const char prefix[] = "sec-websocket-";
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (name.length == strlen(names[i]) && !PyOS_strnicmp((const char *)name.start, names[i], name.length))
            return true;
    return name.length >= sizeof prefix - 1 && !PyOS_strnicmp((const char *)name.start, prefix, sizeof prefix - 1);
}

static int raise_reserved(struct span name)
{
    PyObject *bytes = PyBytes_FromStringAndSize((const char *)name.start, name.length);
    if (bytes)
        PyErr_Format(
            PyExc_ValueError, "header %R is not allowed in websocket.accept: the server itself writes the handshake%s", bytes,
            PyOS_stricmp(PyBytes_AS_STRING(bytes), "sec-websocket-protocol") ? "" : "; the key 'subprotocol' is for this");
    Py_XDECREF(bytes);
    return -1;
}

static int check_reserved(const struct fields *f)
{
    const uint8_t *at = f->data + 4 * f->count;
    for (uint16_t i = 0; i < f->count; i++) {
        struct span name = {at, load16(f->data + 4 * i)};
        if (is_reserved(name))
            return raise_reserved(name);
        at += name.length + load16(f->data + 4 * i + 2);
    }
    return 0;
}

/* ACCEPT, and the first window for the client's messages. */
static int write_accept(Exchange *x, struct span subprotocol, const struct fields *f, uint8_t flags)
{
    uint32_t size = frame_padded(ACCEPT_SIZE + subprotocol.length + f->size), table = 4u * f->count;
    uint8_t *p = output_frame(x, (struct frame){size, x->stream, FRAME_ACCEPT, flags, (uint16_t)subprotocol.length, 0});
    if (!p)
        return -1;
    store64(p + FRAME_HEADER, f->count);
    memcpy(p + ACCEPT_SIZE, f->data, table);
    memcpy(p + ACCEPT_SIZE + table, subprotocol.start, subprotocol.length);
    memcpy(p + ACCEPT_SIZE + table + subprotocol.length, f->data + table, f->size - table);
    x->accepted = true;
    uint32_t window = x->kind == KIND_UDP ? UDP_WINDOW : WINDOW;
    p = output_frame(x, (struct frame){FRAME_HEADER, x->stream, FRAME_WINDOW, 0, 0, window}); /* in order: not output_grant */
    output_commit(x);
    if (x->kind == KIND_WEBSOCKET)
        Py_CLEAR(x->subprotocols);
    return p ? 0 : -1;
}

int socket_accept(Exchange *x)
{
    return x->accepted ? 0 : write_accept(x, (struct span){(const uint8_t *)"", 0}, &(struct fields){.data = (uint8_t *)""}, 0);
}

static int accept_with(Exchange *x, PyObject *type, PyObject *subprotocol, PyObject *headers, uint8_t flags)
{
    struct fields f = {0};
    struct span s;
    if (check_order(x, type, false) < 0 || check_subprotocol(x, subprotocol, &s) < 0)
        return -1;
    int result = fields_encode(&f, headers, FIELD_BYTES, x->link->frame_max - ACCEPT_SIZE - s.length);
    if (result == 0)
        result = check_order(x, type, false);
    if (result == 0)
        result = check_reserved(&f);
    if (result == 0)
        result = write_accept(x, s, &f, flags);
    PyMem_Free(f.data);
    return result;
}

static int wants_pings(PyObject *message, PyObject *key)
{
    PyObject *pings = Py_XNewRef(send_field(message, key));
    int wants = pings ? PyObject_IsTrue(pings) : PyErr_Occurred() ? -1 : 0;
    Py_XDECREF(pings);
    return wants;
}

static int send_accept(Exchange *x, PyObject *message, PyObject *type)
{
    struct state_strings *str = &x->loop->state->str;
    PyObject *subprotocol, *headers;
    int pings = wants_pings(message, str->pings);
    if (pings < 0 || optional(message, str->subprotocol, &subprotocol, str->headers, &headers) < 0)
        return -1;
    if (!headers)
        headers = PyTuple_New(0);
    int result = headers ? accept_with(x, type, subprotocol, headers, pings ? FLAG_WANTS_PINGS : 0) : -1;
    Py_XDECREF(headers);
    Py_XDECREF(subprotocol);
    return result;
}

static int write_message(Exchange *x, PyObject *owner, struct payload p)
{
    int result = output_payload(x, owner, p, 0);
    output_commit(x);
    return result;
}

static int send_text(Exchange *x, PyObject *text)
{
    struct payload p = {.message = MESSAGE_TEXT};
    if (!PyUnicode_Check(text))
        return bad_type("text of websocket.send", "a str", text);
    p.bytes = (const uint8_t *)PyUnicode_AsUTF8AndSize(text, &p.length);
    return p.bytes ? write_message(x, text, p) : -1;
}

static int send_buffer(Exchange *x, PyObject *bytes, PyObject *type)
{
    Py_buffer view;
    if (PyUnicode_Check(bytes) || !PyObject_CheckBuffer(bytes))
        return bad_type("bytes of websocket.send", "bytes", bytes);
    if (PyObject_GetBuffer(bytes, &view, PyBUF_SIMPLE) < 0)
        return -1;
    int result = check_order(x, type, true);
    if (result == 0)
        result = write_message(x, bytes, (struct payload){view.buf, view.len, MESSAGE_BINARY, false});
    PyBuffer_Release(&view);
    return result;
}

static int send_bytes(Exchange *x, PyObject *bytes, PyObject *type)
{
    if (!PyBytes_CheckExact(bytes))
        return send_buffer(x, bytes, type);
    struct payload p = {(const uint8_t *)PyBytes_AS_STRING(bytes), PyBytes_GET_SIZE(bytes), MESSAGE_BINARY, false};
    return write_message(x, bytes, p);
}

static int send_one(Exchange *x, PyObject *type, PyObject *text, PyObject *bytes)
{
    if (!text == !bytes) {
        PyErr_Format(PyExc_ValueError, "websocket.send must have bytes or text, and the other missing or None; it has %s",
                     text ? "both" : "neither");
        return -1;
    }
    return text ? send_text(x, text) : send_bytes(x, bytes, type);
}

static int send_message(Exchange *x, PyObject *message, PyObject *type)
{
    struct state_strings *str = &x->loop->state->str;
    PyObject *text, *bytes;
    if (optional(message, str->text, &text, str->bytes, &bytes) < 0)
        return -1;
    int result = check_order(x, type, true);
    if (result == 0)
        result = send_one(x, type, text, bytes);
    Py_XDECREF(text);
    Py_XDECREF(bytes);
    return result;
}

/* A ping takes no credit, and stays whole. */
static int send_ping(Exchange *x, PyObject *message, PyObject *type)
{
    PyObject *bytes = send_field(message, x->loop->state->str.bytes);
    if (!PyErr_Occurred() && check_order(x, type, true) < 0)
        return -1;
    if (!bytes || !PyBytes_CheckExact(bytes))
        return PyErr_Occurred() ? -1 : bad_type("bytes of awaitd.websocket.ping", "bytes", bytes ? bytes : Py_None);
    uint32_t length = (uint32_t)PyBytes_GET_SIZE(bytes);
    if (PyBytes_GET_SIZE(bytes) > CONTROL_MAX) {
        PyErr_Format(PyExc_ValueError, "awaitd.websocket.ping takes at most %u bytes, got %zd", CONTROL_MAX,
                     PyBytes_GET_SIZE(bytes));
        return -1;
    }
    struct frame header = {frame_padded(FRAME_HEADER + length), x->stream, FRAME_MESSAGE, 0, MESSAGE_PING, length};
    uint8_t *p = output_frame(x, header);
    if (!p)
        return -1;
    memcpy(p + FRAME_HEADER, PyBytes_AS_STRING(bytes), length);
    output_commit(x);
    return 0;
}

static bool is_close_code(long code)
{
    return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) || (code >= 3000 && code <= 4999);
}

/* What may be said to a client; without one that was accepted it is not heard, and all numbers are fine. */
static int close_code_of(Exchange *x, PyObject *code)
{
    int overflow = 0;
    long number = CLOSE_NORMAL;
    if (code && !PyLong_Check(code))
        return bad_type("code of websocket.close", "an int", code);
    if (code)
        number = PyLong_AsLongAndOverflow(code, &overflow);
    if (!overflow && is_close_code(number))
        return (int)number;
    if (!x->accepted)
        return CLOSE_NORMAL;
    PyErr_Format(PyExc_ValueError, "code of websocket.close must be one of 1000-1003, 1007-1014, 3000-4999, got %R", code);
    return -1;
}

static int check_reason(PyObject *reason)
{
    Py_ssize_t length;
    if (!reason)
        return 0;
    if (!PyUnicode_Check(reason))
        return bad_type("reason of websocket.close", "a str or None", reason);
    if (!PyUnicode_AsUTF8AndSize(reason, &length))
        return -1;
    if (length > REASON_MAX)
        PyErr_Format(PyExc_ValueError, "reason of websocket.close takes %zd bytes as UTF-8; the limit is %u", length,
                     REASON_MAX);
    return length > REASON_MAX ? -1 : 0;
}

static int send_close(Exchange *x, PyObject *message, PyObject *type)
{
    struct state_strings *str = &x->loop->state->str;
    PyObject *code, *reason;
    if (optional(message, str->code, &code, str->reason, &reason) < 0)
        return -1;
    int number = check_order(x, type, x->accepted) < 0 || check_reason(reason) < 0 ? -1 : close_code_of(x, code);
    Py_XDECREF(code);
    if (number < 0) {
        Py_XDECREF(reason);
        return -1;
    }
    return socket_end(x, (uint16_t)number, reason);
}

static int send_denial_start(Exchange *x, PyObject *message, PyObject *type)
{
    return x->accepted ? send_raise_order(x, type) : send_response_start(x, message, type);
}

int socket_send(Exchange *x, PyObject *message, PyObject *type)
{
    if (x->kind != KIND_WEBSOCKET)
        return stream_send(x, message, type);
    struct state_strings *str = &x->loop->state->str;
    struct {
        PyObject *type;
        int (*send)(Exchange *, PyObject *, PyObject *);
    } known[] = {
        {str->socket_send, send_message},       {str->socket_accept, send_accept},      {str->socket_close, send_close},
        {str->denial_start, send_denial_start}, {str->denial_body, send_response_body}, {str->socket_ping, send_ping},
    };
    enum { COUNT = sizeof known / sizeof *known };
    for (size_t i = 0; i < COUNT; i++)
        if (known[i].type == type)
            return known[i].send(x, message, type);
    for (size_t i = 0; i < COUNT; i++)
        if (PyUnicode_Compare(known[i].type, type) == 0)
            return known[i].send(x, message, type);
    PyErr_Format(PyExc_ValueError, "unknown ASGI message type %R: expected %s", type, socket_expected(x));
    return -1;
}
