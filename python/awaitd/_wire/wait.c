/* The awaitable that receive() and send() return.
 *
 * It asks the exchange when it is awaited; if there is no answer yet it waits, and asks again. So a message is taken only by the
 * one who gets it: a receive() cancelled while it waits, or never awaited, loses nothing. It has the methods of a coroutine, so
 * that asyncio.create_task(receive()) works as with any `async def receive()`.
 *
 * While it waits it is the future, too, that its task waits on: it yields itself, and has what tasks ask of a future
 * (asyncio.isfuture is about _asyncio_future_blocking, which is None when it does not wait: then it is a coroutine for everyone).
 * That saves a Future with its iterator for each idle WebSocket, and lets wait_resume call the task's wake-up right away where a
 * Future would go through call_soon: the same call in the same context, from the event loop, with no task running.
 *
 * A send() whose message has gone out is done by that, whatever happens before its task comes to go on. */
#include "exchange.h"

enum wait_state { ASKS, WAITS, WOKEN, SENT, CANCELLED };

typedef struct wait {
    PyObject_HEAD
    Exchange *exchange;  /* NULL: finished, with None */
    struct wait *next;   /* in the exchange's list, which owns a reference */
    PyObject *callback;  /* of the task, while it waits */
    PyObject *context;   /* for it, or NULL */
    PyObject *cancelled; /* the message of cancel() */
    struct read read;    /* of a StreamReader; READ_MESSAGE: none */
    uint8_t kind;
    uint8_t state;
    bool blocking; /* as asyncio's: yielded, and not yet seen by the task */
} Wait;

static Wait *make(State *s, Exchange *x, enum wait_kind kind)
{
    Wait *w = PyObject_GC_New(Wait, s->wait_type);
    if (!w)
        return NULL;
    w->exchange = (Exchange *)Py_XNewRef((PyObject *)x);
    w->next = NULL;
    w->callback = w->context = w->cancelled = NULL;
    w->read = (struct read){NULL, 0, READ_MESSAGE};
    w->kind = (uint8_t)kind;
    w->state = ASKS;
    w->blocking = false;
    PyObject_GC_Track(w);
    return w;
}

PyObject *wait_new(Exchange *x, enum wait_kind kind)
{
    return (PyObject *)make(x->loop->state, x, kind);
}

PyObject *wait_read(Exchange *x, struct read r)
{
    Wait *w = make(x->loop->state, x, WAIT_RECEIVE);
    if (w)
        w->read = r;
    else
        Py_XDECREF(r.separator);
    return (PyObject *)w;
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
        return w->read.kind ? reader_poll(x, &w->read) : receive_poll(x);
    if (x->lost && x->streams) {
        raise_lost();
        return NULL;
    }
    if (w->kind == WAIT_CLOSED)
        return x->stream_over ? Py_NewRef(Py_None) : NULL;
    if (x->lost) {
        PyErr_SetString(x->loop->state->client_disconnected, "the client is gone");
        return NULL;
    }
    return x->first_piece ? NULL : Py_NewRef(Py_None);
}

/* Puts w at the end of the list of those who wait. */
static void enter(Wait *w)
{
    Wait **at = &w->exchange->waiters[w->kind];
    while (*at)
        at = &(*at)->next;
    *at = (Wait *)Py_NewRef((PyObject *)w);
    w->next = NULL;
    w->state = WAITS;
    w->blocking = true;
}

/* Takes w out of the list. The caller has a reference of its own. */
static void leave(Wait *w)
{
    Wait **at = &w->exchange->waiters[w->kind];
    while (*at && *at != w)
        at = &(*at)->next;
    if (!*at)
        return;
    *at = w->next;
    w->next = NULL;
    Py_DECREF(w);
}

/* Back to where nothing was asked. */
static void reset(Wait *w)
{
    if (w->state == WAITS)
        leave(w);
    w->state = ASKS;
    Py_CLEAR(w->callback);
    Py_CLEAR(w->context);
    Py_CLEAR(w->cancelled);
}

static PyObject *raise_cancelled(Wait *w)
{
    PyObject *type = w->exchange->loop->state->cancelled_error;
    if (w->cancelled && w->cancelled != Py_None)
        PyErr_SetObject(type, w->cancelled);
    else
        PyErr_SetNone(type);
    return NULL;
}

static PySendResult wait_am_send(PyObject *self, PyObject *Py_UNUSED(arg), PyObject **result)
{
    Wait *w = (Wait *)self;
    enum wait_state state = w->state;
    if (state == WAITS) { /* it would forget the first */
        PyErr_SetString(PyExc_RuntimeError, "this is being awaited already");
        return PYGEN_ERROR;
    }
    if (state == CANCELLED) {
        *result = raise_cancelled(w);
        reset(w);
        return PYGEN_ERROR;
    }
    if (state != ASKS)
        reset(w);
    *result = state == SENT ? Py_NewRef(Py_None) : poll(w);
    if (*result)
        return PYGEN_RETURN;
    if (PyErr_Occurred())
        return PYGEN_ERROR;
    if (w->read.kind && w->exchange->waiters[WAIT_RECEIVE]) {
        PyErr_Format(PyExc_RuntimeError, "%s() called while another coroutine is already waiting for incoming data",
                     reader_name(w->read.kind));
        return PYGEN_ERROR;
    }
    enter(w);
    *result = Py_NewRef(self);
    return PYGEN_NEXT;
}

/* Has the event loop call the callback. */
static void schedule(Wait *w)
{
    AsyncLoop *l = w->exchange->loop;
    PyObject *arguments[] = {w->callback, (PyObject *)w, w->context};
    if (!w->callback)
        return;
    PyObject *handle = PyObject_Vectorcall(l->call_soon, arguments, 2, w->context ? l->state->context_keywords : NULL);
    if (!handle)
        PyErr_WriteUnraisable((PyObject *)w);
    Py_XDECREF(handle);
    Py_CLEAR(w->callback);
    Py_CLEAR(w->context);
}

/* Takes the first out of the list, with the list's reference. */
static Wait *take_first(Exchange *x, enum wait_kind kind)
{
    Wait *w = x->waiters[kind];
    x->waiters[kind] = w->next;
    w->next = NULL;
    w->state = WOKEN;
    return w;
}

void wait_sent(Exchange *x)
{
    while (x->waiters[WAIT_SEND]) {
        Wait *w = take_first(x, WAIT_SEND);
        w->state = SENT;
        schedule(w);
        Py_DECREF(w);
    }
}

void wait_wake(Exchange *x, enum wait_kind kind)
{
    while (x->waiters[kind]) {
        Wait *w = take_first(x, kind);
        schedule(w);
        Py_DECREF(w);
    }
}

/* True if the callback is the wake-up of a task as asyncio has them; what others do in theirs is not known. */
static bool is_wakeup(Wait *w)
{
    PyObject *task = w->callback && PyCFunction_CheckExact(w->callback) ? PyCFunction_GET_SELF(w->callback) : NULL;
    return task && w->context && (PyObject *)Py_TYPE(task) == w->exchange->loop->state->task_type;
}

/* Calls the callback in its context. -1 for what ends the process. */
static int call(Wait *w)
{
    PyObject *callback = w->callback, *context = w->context;
    if (PyContext_Enter(context) < 0) { /* someone is in it: then later */
        PyErr_Clear();
        schedule(w);
        return 0;
    }
    w->callback = w->context = NULL;
    PyObject *result = PyObject_CallOneArg(callback, (PyObject *)w);
    PyObject *raised = result ? NULL : PyErr_GetRaisedException();
    PyContext_Exit(context);
    Py_DECREF(callback);
    Py_DECREF(context);
    Py_XDECREF(result);
    if (!result)
        PyErr_SetRaisedException(raised);
    return result ? 1 : -1;
}

int wait_resume(Exchange *x)
{
    Wait *w = x->waiters[WAIT_RECEIVE];
    if (!w || w->next || !is_wakeup(w)) {
        wait_wake(x, WAIT_RECEIVE);
        return 0;
    }
    take_first(x, WAIT_RECEIVE);
    int result = call(w);
    Py_DECREF(w);
    return result;
}

int wait_visit(Exchange *x, visitproc visit, void *arg)
{
    for (int kind = 0; kind < WAIT_KINDS; kind++)
        for (Wait *w = x->waiters[kind]; w; w = w->next)
            Py_VISIT(w);
    return 0;
}

void wait_drop(Exchange *x)
{
    for (int kind = 0; kind < WAIT_KINDS; kind++)
        while (x->waiters[kind])
            Py_DECREF(take_first(x, kind));
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
    reset((Wait *)self);
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
    reset((Wait *)self);
    Py_RETURN_NONE;
}

/* What tasks ask of a future. */

static PyObject *get_loop(PyObject *self, PyObject *Py_UNUSED(unused))
{
    Exchange *x = ((Wait *)self)->exchange;
    return Py_NewRef(x ? x->loop->event_loop : Py_None);
}

static PyObject *get_blocking(PyObject *self, void *Py_UNUSED(closure))
{
    Wait *w = (Wait *)self;
    return w->state == ASKS ? Py_NewRef(Py_None) : PyBool_FromLong(w->blocking);
}

static int set_blocking(PyObject *self, PyObject *value, void *Py_UNUSED(closure))
{
    int blocking = value ? PyObject_IsTrue(value) : 0;
    ((Wait *)self)->blocking = blocking > 0;
    return blocking < 0 ? -1 : 0;
}

/* add_done_callback(callback, *, context=None) */
static PyObject *add_done_callback(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *keywords)
{
    Wait *w = (Wait *)self;
    Py_ssize_t named = keywords ? PyTuple_GET_SIZE(keywords) : 0;
    if (count != 1 || named > 1) {
        PyErr_SetString(PyExc_TypeError, "add_done_callback() takes a callback, and a context by its name");
        return NULL;
    }
    if (w->callback || w->state == ASKS) {
        PyErr_SetString(PyExc_RuntimeError, "only the one task that awaits this may wait on it");
        return NULL;
    }
    w->callback = Py_NewRef(args[0]);
    w->context = named && args[1] != Py_None ? Py_NewRef(args[1]) : NULL;
    if (w->state != WAITS)
        schedule(w);
    Py_RETURN_NONE;
}

static PyObject *remove_done_callback(PyObject *self, PyObject *callback)
{
    Wait *w = (Wait *)self;
    int same = w->callback ? PyObject_RichCompareBool(w->callback, callback, Py_EQ) : 0;
    if (same < 0)
        return NULL;
    if (same) {
        Py_CLEAR(w->callback);
        Py_CLEAR(w->context);
    }
    return PyLong_FromLong(same);
}

/* cancel(msg=None) */
static PyObject *cancel(PyObject *self, PyObject *args, PyObject *kwargs)
{
    static char *keywords[] = {"msg", NULL};
    Wait *w = (Wait *)self;
    PyObject *message = Py_None;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|O:cancel", keywords, &message))
        return NULL;
    if (w->state != WAITS)
        Py_RETURN_FALSE;
    leave(w);
    w->state = CANCELLED;
    Py_XSETREF(w->cancelled, Py_NewRef(message));
    schedule(w);
    Py_RETURN_TRUE;
}

static PyObject *is_cancelled(PyObject *self, PyObject *Py_UNUSED(unused))
{
    return PyBool_FromLong(((Wait *)self)->state == CANCELLED);
}

static PyObject *is_done(PyObject *self, PyObject *Py_UNUSED(unused))
{
    return PyBool_FromLong(((Wait *)self)->state != WAITS);
}

/* The wait's own result, not the message. */
static PyObject *get_result(PyObject *self, PyObject *Py_UNUSED(unused))
{
    Wait *w = (Wait *)self;
    if (w->state == CANCELLED)
        return raise_cancelled(w);
    if (w->state != WAITS)
        Py_RETURN_NONE;
    PyErr_SetString(PyExc_RuntimeError, "the wait is not over");
    return NULL;
}

static int wait_traverse(PyObject *self, visitproc visit, void *arg)
{
    Wait *w = (Wait *)self;
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(w->exchange);
    Py_VISIT(w->callback);
    Py_VISIT(w->context);
    Py_VISIT(w->cancelled);
    return 0;
}

static int wait_clear(PyObject *self)
{
    Wait *w = (Wait *)self;
    if (w->exchange)
        reset(w);
    Py_CLEAR(w->exchange);
    Py_CLEAR(w->read.separator);
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
    {"get_loop", get_loop, METH_NOARGS, NULL},
    {"add_done_callback", (PyCFunction)(void (*)(void))add_done_callback, METH_FASTCALL | METH_KEYWORDS, NULL},
    {"remove_done_callback", remove_done_callback, METH_O, NULL},
    {"cancel", (PyCFunction)(void (*)(void))cancel, METH_VARARGS | METH_KEYWORDS, NULL},
    {"cancelled", is_cancelled, METH_NOARGS, NULL},
    {"done", is_done, METH_NOARGS, NULL},
    {"result", get_result, METH_NOARGS, NULL},
    {"exception", get_result, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef wait_getset[] = {
    {"_asyncio_future_blocking", get_blocking, set_blocking, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot wait_slots[] = {
    {Py_tp_dealloc, wait_dealloc},   {Py_tp_traverse, wait_traverse},
    {Py_tp_clear, wait_clear},       {Py_tp_iter, wait_self},
    {Py_tp_iternext, wait_iternext}, {Py_am_await, wait_self},
    {Py_am_send, wait_am_send},      {Py_tp_methods, wait_methods},
    {Py_tp_getset, wait_getset},     {0, NULL},
};

PyType_Spec wait_spec = {
    .name = "awaitd._wire.Wait",
    .basicsize = sizeof(Wait),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = wait_slots,
};
