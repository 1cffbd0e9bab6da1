/* TCP connections and SMTP sessions as ASGI has them: docs/reference/asgi-streams.md. What comes is queued by socket.c. */
#include "exchange.h"

PyObject *stream_scope(AsyncLoop *l, const struct open *o)
{
    State *s = l->state;
    PyObject *client = scope_client(s, o), *server = client ? scope_server(s, o) : NULL;
    if (!server) {
        Py_XDECREF(client);
        return NULL;
    }
    bool handler = target_streams(l, o->target);
    PyObject *tls = tls_object(o, handler ? s->tls_details : s->tls_extension);
    if (!tls || handler)
        return Py_BuildValue("[NNNO]", client, server, tls, Py_None);
    PyObject *kind = o->kind == KIND_TCP ? s->str.tcp : o->kind == KIND_UDP ? s->str.udp : s->str.smtp;
    PyObject *scope = Py_BuildValue("{OOO{ssss}ONONO{}}", s->str.type, kind, s->str.asgi, "version", "3.0", "spec_version",
                                    "1.0", s->str.client, client, s->str.server, server, s->str.extensions);
    if (scope && tls != Py_None && PyDict_SetItem(PyDict_GetItemWithError(scope, s->str.extensions), s->str.tls, tls) < 0)
        Py_CLEAR(scope);
    Py_DECREF(tls);
    PyObject *state = scope && l->lifespan_state ? PyDict_Copy(l->lifespan_state) : NULL;
    if (scope && l->lifespan_state && (!state || PyDict_SetItem(scope, s->str.state, state) < 0))
        Py_CLEAR(scope);
    Py_XDECREF(state);
    return scope;
}

void stream_tell(Exchange *x, const uint8_t *text, Py_ssize_t length)
{
    PyObject *hears = x->streams && x->kind == KIND_TCP && x->scope ? PyList_GET_ITEM(x->scope, 3) : Py_None;
    if (hears == Py_None)
        return;
    PyObject *said = text ? PyBytes_FromStringAndSize((const char *)text, length) : Py_NewRef(Py_None), *result = NULL;
    Py_INCREF(hears);
    if (said)
        result = PyObject_CallOneArg(hears, said);
    if (!result)
        PyErr_WriteUnraisable((PyObject *)x);
    Py_DECREF(hears);
    Py_XDECREF(said);
    Py_XDECREF(result);
}

/* {"type": "tcp.receive", "data": ..., "more": ...}; takes over data. */
static PyObject *receive_message(State *s, PyObject *data, bool more)
{
    if (!data)
        return NULL;
    return Py_BuildValue("{OOONOO}", s->str.type, s->str.tcp_receive, s->str.data, data, s->str.more,
                         more ? Py_True : Py_False);
}

static PyObject *first_message(Exchange *x)
{
    struct inbound *m = socket_take(x);
    bool more = x->first_in || !x->body_whole;
    PyObject *data = m->data;
    socket_taken(x, m->cost);
    PyMem_Free(m);
    x->body_delivered = !more;
    return receive_message(x->loop->state, data, more);
}

static PyObject *disconnect_message(Exchange *x)
{
    struct state_strings *str = &x->loop->state->str;
    return Py_BuildValue("{OO}", str->type, str->tcp_disconnect);
}

PyObject *stream_poll(Exchange *x)
{
    if (x->complete || x->app_ended)
        return disconnect_message(x);
    if (x->first_in)
        return first_message(x);
    if (x->lost)
        return disconnect_message(x);
    if (!x->body_whole || x->body_delivered)
        return NULL;
    x->body_delivered = true;
    return receive_message(x->loop->state, Py_NewRef(x->loop->state->empty_bytes), false);
}

const char *stream_expected(Exchange *x)
{
    return x->complete            ? "nothing, since the application has closed the connection"
           : x->app_ended         ? "nothing, since the application has returned"
           : x->kind == KIND_SMTP ? "'smtp.send' or 'smtp.close'"
           : x->kind == KIND_UDP  ? "'udp.send' or 'udp.close'"
           : x->eof_sent          ? "'tcp.close'"
                                  : "'tcp.send' or 'tcp.close'";
}

/* Bytes, or text if form says so, as a message of its own. */
static int send_value(Exchange *x, PyObject *type, PyObject *value, uint8_t form)
{
    struct payload p = {.message = form};
    Py_buffer view = {0};
    if (form == MESSAGE_TEXT) {
        if (PyUnicode_Check(value))
            p.bytes = (const uint8_t *)PyUnicode_AsUTF8AndSize(value, &p.length);
        else
            PyErr_Format(PyExc_TypeError, "text of %U must be a str, not %.100s", type, Py_TYPE(value)->tp_name);
    } else if (PyObject_CheckBuffer(value) && PyObject_GetBuffer(value, &view, PyBUF_SIMPLE) == 0) {
        p.bytes = view.buf;
        p.length = view.len;
    } else if (!PyErr_Occurred()) {
        PyErr_Format(PyExc_TypeError, "data of %U must be bytes, not %.100s", type, Py_TYPE(value)->tp_name);
    }
    if (PyErr_Occurred())
        return -1;
    int result = x->lost || x->complete ? send_raise_order(x, type) : 0; /* a buffer's own code may have run */
    if (result == 0 && (p.length || x->kind == KIND_SMTP))
        result = output_payload(x, value, p, 0);
    if (view.obj)
        PyBuffer_Release(&view);
    output_commit(x);
    return result;
}

static int send_end(Exchange *x)
{
    x->eof_sent = true;
    int result = output_end(x, NULL);
    output_commit(x);
    return result;
}

/* {"type": "tcp.send", "data": b"", "more": True} */
static int send_data(Exchange *x, PyObject *message, PyObject *type)
{
    struct state_strings *str = &x->loop->state->str;
    if (x->eof_sent)
        return send_raise_order(x, type);
    PyObject *data = Py_XNewRef(send_field(message, str->data));
    PyObject *more = PyErr_Occurred() ? NULL : Py_XNewRef(send_field(message, str->more));
    int goes_on = PyErr_Occurred() ? -1 : more ? PyObject_IsTrue(more) : 1;
    int result = goes_on < 0 ? -1 : data ? send_value(x, type, data, MESSAGE_BINARY) : 0;
    if (result == 0 && !goes_on)
        result = send_end(x);
    Py_XDECREF(data);
    Py_XDECREF(more);
    return result;
}

/* {"type": "smtp.send", "text": ""} */
static int send_text(Exchange *x, PyObject *message, PyObject *type)
{
    PyObject *text = Py_XNewRef(send_field(message, x->loop->state->str.text));
    if (!text && !PyErr_Occurred())
        PyErr_Format(PyExc_ValueError, "%U must have text", type);
    int result = text ? send_value(x, type, text, MESSAGE_TEXT) : -1;
    Py_XDECREF(text);
    return result;
}

int stream_send(Exchange *x, PyObject *message, PyObject *type)
{
    struct state_strings *str = &x->loop->state->str;
    bool mail = x->kind == KIND_SMTP;
    if (x->kind == KIND_UDP)
        return datagram_send(x, message, type);
    if (PyUnicode_Compare(type, mail ? str->smtp_send : str->tcp_send) == 0)
        return mail ? send_text(x, message, type) : send_data(x, message, type);
    if (PyUnicode_Compare(type, mail ? str->smtp_close : str->tcp_close) == 0)
        return socket_end(x, CLOSE_NORMAL, NULL);
    if (!PyErr_Occurred())
        PyErr_Format(PyExc_ValueError, "unknown ASGI message type %R: expected %s", type, stream_expected(x));
    return -1;
}
