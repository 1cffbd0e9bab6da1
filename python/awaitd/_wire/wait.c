/* The awaitable that receive() and send() return.
 *
 * It asks the exchange when it is awaited; if there is no answer yet it waits on a future, and asks again when that is done. So
 * a message is taken only by the one who gets it: a receive() cancelled while it waits, or never awaited, loses nothing. It has
 * the methods of a coroutine, so that asyncio.create_task(receive()) works as with any `async def receive()`. */
#include "exchange.h"

typedef struct {
    PyObject_HEAD
    Exchange *exchange; /* NULL: finished, with None */
    PyObject *future;   /* waited for */
    PyObject *iterator; /* the future's */
    uint8_t kind;
} Wait;

static Wait *make(State *s, Exchange *x, enum wait_kind kind)
{
    Wait *w = PyObject_GC_New(Wait, s->wait_type);
    if (!w)
        return NULL;
    w->exchange = (Exchange *)Py_XNewRef((PyObject *)x);
    w->future = w->iterator = NULL;
    w->kind = (uint8_t)kind;
    PyObject_GC_Track(w);
    return w;
}

PyObject *wait_new(Exchange *x, enum wait_kind kind)
{
    return (PyObject *)make(x->loop->state, x, kind);
}

PyObject *wait_ready(State *s)
{
    return (PyObject *)make(s, NULL, WAIT_SEND);
}

/* The answer, or NULL: not yet, or an exception. */
static PyObject *poll(Wait *w)
{
    Exchange *x = w->exchange;
    if (!x)
        Py_RETURN_NONE;
    if (w->kind == WAIT_RECEIVE)
        return receive_poll(x);
    if (x->lost) {
        PyErr_SetString(x->loop->state->client_disconnected, "the client is gone");
        return NULL;
    }
    return x->first_piece ? NULL : Py_NewRef(Py_None);
}

/* Starts to wait on a new future. */
static int begin(Wait *w)
{
    Exchange *x = w->exchange;
    PyObject **list = &x->waiters[w->kind];
    if (!*list && !(*list = PyList_New(0)))
        return -1;
    PyObject *future = PyObject_CallMethodNoArgs(x->loop->event_loop, x->loop->state->str.create_future);
    PyObject *iterator = future ? PyObject_GetIter(future) : NULL;
    if (!iterator || !*list || PyList_Append(*list, future) < 0) {
        Py_XDECREF(future);
        Py_XDECREF(iterator);
        return -1;
    }
    Py_XSETREF(w->future, future);
    Py_XSETREF(w->iterator, iterator);
    return 0;
}

/* Waits no more. */
static void leave(Wait *w)
{
    PyObject *list = w->future && w->exchange ? w->exchange->waiters[w->kind] : NULL;
    Py_ssize_t count = list ? PyList_GET_SIZE(list) : 0;
    for (Py_ssize_t i = 0; i < count; i++)
        if (PyList_GET_ITEM(list, i) == w->future) {
            PyList_SetSlice(list, i, i + 1, NULL);
            break;
        }
    Py_CLEAR(w->future);
    Py_CLEAR(w->iterator);
}

static PySendResult wait_am_send(PyObject *self, PyObject *arg, PyObject **result)
{
    Wait *w = (Wait *)self;
    for (;;) {
        if (w->iterator) {
            PySendResult sent = PyIter_Send(w->iterator, arg, result);
            if (sent == PYGEN_NEXT)
                return sent;
            leave(w);
            if (sent == PYGEN_ERROR)
                return sent;
            Py_CLEAR(*result);
            arg = Py_None;
        }
        *result = poll(w);
        if (*result)
            return PYGEN_RETURN;
        if (PyErr_Occurred() || begin(w) < 0)
            return PYGEN_ERROR;
    }
}

/* As an iterator or a method: NULL with StopIteration at the end. */
static PyObject *step(PyObject *self, PyObject *arg)
{
    PyObject *result = NULL;
    if (wait_am_send(self, arg, &result) != PYGEN_RETURN)
        return result;
    PyObject *stop = PyObject_CallOneArg(PyExc_StopIteration, result);
    Py_DECREF(result);
    if (stop) {
        PyErr_SetObject(PyExc_StopIteration, stop);
        Py_DECREF(stop);
    }
    return NULL;
}

static PyObject *wait_iternext(PyObject *self)
{
    return step(self, Py_None);
}

static PyObject *wait_self(PyObject *self)
{
    return Py_NewRef(self);
}

/* throw(type[, value[, traceback]]) */
static PyObject *wait_throw(PyObject *self, PyObject *args)
{
    Wait *w = (Wait *)self;
    leave(w);
    PyObject *type, *value = NULL, *traceback = NULL;
    if (!PyArg_UnpackTuple(args, "throw", 1, 3, &type, &value, &traceback))
        return NULL;
    if (PyExceptionInstance_Check(type))
        PyErr_SetObject((PyObject *)Py_TYPE(type), type);
    else
        PyErr_SetObject(type, value == Py_None ? NULL : value);
    return NULL;
}

static PyObject *wait_close(PyObject *self, PyObject *Py_UNUSED(unused))
{
    leave((Wait *)self);
    Py_RETURN_NONE;
}

static int wait_traverse(PyObject *self, visitproc visit, void *arg)
{
    Wait *w = (Wait *)self;
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(w->exchange);
    Py_VISIT(w->future);
    Py_VISIT(w->iterator);
    return 0;
}

static int wait_clear(PyObject *self)
{
    Wait *w = (Wait *)self;
    leave(w);
    Py_CLEAR(w->exchange);
    return 0;
}

static void wait_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    wait_clear(self);
    PyObject_GC_Del(self);
    Py_DECREF(type);
}

static PyMethodDef wait_methods[] = {
    {"send", step, METH_O, NULL},
    {"throw", wait_throw, METH_VARARGS, NULL},
    {"close", wait_close, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot wait_slots[] = {
    {Py_tp_dealloc, wait_dealloc}, {Py_tp_traverse, wait_traverse}, {Py_tp_clear, wait_clear},
    {Py_tp_iter, wait_self},       {Py_tp_iternext, wait_iternext}, {Py_am_await, wait_self},
    {Py_am_send, wait_am_send},    {Py_tp_methods, wait_methods},   {0, NULL},
};

PyType_Spec wait_spec = {
    .name = "awaitd._wire.Wait",
    .basicsize = sizeof(Wait),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = wait_slots,
};
