/* Datagrams of a UDP socket, and the socket as ASGI has it (docs/reference/asgi-streams.md). A datagram is a MESSAGE whose first bytes
 * are the peer's address. */
#include "exchange.h"

#include <arpa/inet.h>

enum { QUEUE_LIMIT = 1024 << 10 }; /* bytes that wait: then datagrams are dropped */

int peer_parse(uint8_t out[PEER], PyObject *address)
{
    const char *host;
    int port;
    unsigned int flow = 0, zone = 0;
    memset(out, 0, PEER);
    if (!PyTuple_Check(address)) {
        PyErr_Format(PyExc_TypeError, "addr must be a tuple (host, port), not %.100s", Py_TYPE(address)->tp_name);
        return -1;
    }
    if (!PyArg_ParseTuple(address, "si|II;addr must be (host, port)", &host, &port, &flow, &zone))
        return -1;
    if (port < 0 || port > 65535) {
        PyErr_SetString(PyExc_OverflowError, "port must be 0-65535");
        return -1;
    }
    out[0] = inet_pton(AF_INET, host, out + 8) == 1 ? FAMILY_IPV4 : inet_pton(AF_INET6, host, out + 8) == 1 ? FAMILY_IPV6 : 0;
    if (!out[0]) {
        PyErr_Format(PyExc_ValueError, "host must be an IP address, not '%.100s'", host);
        return -1;
    }
    store16(out + 2, (uint16_t)port);
    store32(out + 4, zone);
    return 0;
}

/* {"type": "udp.receive", "data": ..., "client": ...} */
static PyObject *receive_message(Exchange *x, const uint8_t *p, Py_ssize_t n)
{
    struct state_strings *str = &x->loop->state->str;
    PyObject *address = address_tuple(x->loop->state, (struct endpoint_address){p[0], load16(p + 2), p + 8});
    PyObject *data = address ? PyBytes_FromStringAndSize((const char *)p + PEER, n - PEER) : NULL;
    if (!data) {
        Py_XDECREF(address);
        return NULL;
    }
    return Py_BuildValue("{OOONON}", str->type, str->udp_receive, str->data, data, str->client, address);
}

PyObject *datagram_take(Exchange *x, const uint8_t *p, Py_ssize_t n)
{
    if (n < PEER)
        return Py_NewRef(Py_None);
    if (!x->streams)
        return p[1] ? Py_NewRef(Py_None) : receive_message(x, p, n);
    if (x->transport)
        transport_deliver(x, p, n);
    return Py_NewRef(Py_None);
}

PyObject *datagram_poll(Exchange *x)
{
    struct state_strings *str = &x->loop->state->str;
    if (!x->first_in || x->complete || x->app_ended)
        return x->lost || x->complete || x->app_ended ? Py_BuildValue("{OO}", str->type, str->udp_disconnect) : NULL;
    struct inbound *m = socket_take(x);
    PyObject *message = m->data;
    socket_taken(x, m->cost);
    PyMem_Free(m);
    return message;
}

Py_ssize_t datagram_waiting(Exchange *x)
{
    Py_ssize_t size = 0;
    for (struct piece *p = x->first_piece; p; p = p->next)
        size += p->bytes ? PyBytes_GET_SIZE(p->bytes) - p->offset : 0;
    return size;
}

/* Queues a datagram that finds no credit or no room. True if it is dropped. */
static int queue(Exchange *x, const uint8_t *peer, const Py_buffer *view, Py_ssize_t *queued)
{
    if (*queued > QUEUE_LIMIT && (*queued = datagram_waiting(x)) > QUEUE_LIMIT)
        return 1;
    PyObject *whole = PyBytes_FromStringAndSize(NULL, PEER + view->len);
    if (!whole)
        return -1;
    memcpy(PyBytes_AS_STRING(whole), peer, PEER);
    memcpy(PyBytes_AS_STRING(whole) + PEER, view->buf, (size_t)view->len);
    struct payload p = {(const uint8_t *)PyBytes_AS_STRING(whole), PyBytes_GET_SIZE(whole), MESSAGE_BINARY, false};
    int result = output_payload(x, whole, p, 0);
    if (x->first_piece)
        *queued += PEER + view->len;
    Py_DECREF(whole);
    return result;
}

int datagram_write(Exchange *x, const uint8_t *peer, const Py_buffer *view, Py_ssize_t *queued)
{
    uint32_t length = PEER + (uint32_t)view->len, size = frame_padded(FRAME_HEADER + length);
    uint8_t *room = NULL;
    int result = 0;
    if (!x->first_piece && x->credit >= length && size <= x->link->frame_max)
        room = link_frame(x->link, (struct frame){size, x->stream, FRAME_MESSAGE, 0, MESSAGE_BINARY, length});
    if (room) {
        memcpy(room + FRAME_HEADER, peer, PEER);
        memcpy(room + FRAME_HEADER + PEER, view->buf, (size_t)view->len);
        x->credit -= length;
    } else {
        result = queue(x, peer, view, queued);
    }
    output_commit(x);
    return result;
}

/* {"type": "udp.send", "data": ..., "client": (host, port)} */
static int send_message(Exchange *x, PyObject *message, PyObject *type)
{
    struct state_strings *str = &x->loop->state->str;
    uint8_t peer[PEER];
    Py_buffer view = {0};
    Py_ssize_t queued = 0;
    PyObject *client = Py_XNewRef(send_field(message, str->client));
    PyObject *data = PyErr_Occurred() ? NULL : Py_XNewRef(send_field(message, str->data));
    int result = -1;
    if (!client || !data) {
        if (!PyErr_Occurred())
            PyErr_Format(PyExc_ValueError, "%U must have data and client", type);
    } else if (PyUnicode_Check(data) || !PyObject_CheckBuffer(data)) {
        PyErr_Format(PyExc_TypeError, "data of %U must be bytes, not %.100s", type, Py_TYPE(data)->tp_name);
    } else if (peer_parse(peer, client) == 0 && PyObject_GetBuffer(data, &view, PyBUF_SIMPLE) == 0) {
        if (view.len > DATAGRAM_MAX)
            PyErr_Format(PyExc_ValueError, "data of %U is longer than a datagram can be (%d bytes)", type, DATAGRAM_MAX);
        else if (x->lost || x->complete)
            result = send_raise_order(x, type); /* a buffer's own code has run */
        else
            result = datagram_write(x, peer, &view, &queued);
        PyBuffer_Release(&view);
    }
    Py_XDECREF(client);
    Py_XDECREF(data);
    return result;
}

int datagram_send(Exchange *x, PyObject *message, PyObject *type)
{
    struct state_strings *str = &x->loop->state->str;
    if (PyUnicode_Compare(type, str->udp_send) == 0)
        return send_message(x, message, type);
    if (PyUnicode_Compare(type, str->udp_close) == 0)
        return socket_end(x, CLOSE_NORMAL, NULL);
    if (!PyErr_Occurred())
        PyErr_Format(PyExc_ValueError, "unknown ASGI message type %R: expected %s", type, stream_expected(x));
    return -1;
}
