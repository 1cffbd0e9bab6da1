/* receive(): the request body as messages, then the wait for the client to leave. A WebSocket's are in socket.c. */
#include "exchange.h"

static PyObject *request_message(Exchange *x, PyObject *body, bool more)
{
    struct state_strings *str = &x->loop->state->str;
    PyObject *message = body ? PyDict_New() : NULL;
    if (message && (PyDict_SetItem(message, str->type, str->http_request) < 0 || PyDict_SetItem(message, str->body, body) < 0 ||
                    PyDict_SetItem(message, str->more_body, more ? Py_True : Py_False) < 0))
        Py_CLEAR(message);
    Py_XDECREF(body);
    return message;
}

static PyObject *disconnect_message(Exchange *x)
{
    PyObject *message = PyDict_New();
    if (message && PyDict_SetItem(message, x->loop->state->str.type, x->loop->state->str.http_disconnect) < 0)
        Py_CLEAR(message);
    return message;
}

static PyObject *take_chunk(Exchange *x)
{
    PyObject *chunk = x->chunk;
    x->chunk = NULL;
    if (x->chunks) {
        x->chunk = Py_NewRef(PyList_GET_ITEM(x->chunks, x->next_chunk++));
        if (x->next_chunk == PyList_GET_SIZE(x->chunks)) {
            Py_CLEAR(x->chunks);
            x->next_chunk = 0;
        }
    }
    return chunk;
}

/* Lets the server send more: all of the window at first, then what was taken, when that is half of it. */
static void grant(Exchange *x, uint32_t taken)
{
    x->consumed += taken;
    uint32_t credit = !x->body_granted ? WINDOW : x->consumed >= WINDOW / 2 ? x->consumed : 0;
    if (x->body_whole || !credit)
        return;
    /* What came inside OPEN was not granted and is not granted again. */
    x->body_granted = true;
    x->consumed = 0;
    output_grant(x, credit);
}

PyObject *receive_poll(Exchange *x)
{
    if (x->socket)
        return socket_poll(x);
    if (x->lost || x->complete || x->app_ended)
        return disconnect_message(x);
    if (!x->chunk) {
        if (!x->body_whole) {
            grant(x, 0);
            return NULL;
        }
        if (x->body_delivered)
            return NULL;
        x->body_delivered = true;
        return request_message(x, Py_NewRef(x->loop->state->empty_bytes), false);
    }
    bool more = x->chunks || !x->body_whole;
    PyObject *chunk = take_chunk(x);
    grant(x, (uint32_t)PyBytes_GET_SIZE(chunk));
    x->body_delivered = !more;
    return request_message(x, chunk, more);
}

static PyObject *receive(PyObject *self, PyObject *Py_UNUSED(unused))
{
    return wait_new((Exchange *)self, WAIT_RECEIVE);
}

PyMethodDef receive_method = {"receive", receive, METH_NOARGS, NULL};
