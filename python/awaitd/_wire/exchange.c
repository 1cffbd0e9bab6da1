/* One request or WebSocket: the coroutine that its task runs, and what the server's frames do to it. */
#include "exchange.h"

/* A place in the loop's list of running exchanges, with a reference. */
static void link_running(Exchange *x)
{
    AsyncLoop *l = x->loop;
    x->next = l->running;
    if (l->running)
        l->running->previous = x;
    l->running = (Exchange *)Py_NewRef((PyObject *)x);
    x->linked = true;
}

static void unlink_running(Exchange *x)
{
    AsyncLoop *l = x->loop;
    if (!x->linked)
        return;
    if (x->next)
        x->next->previous = x->previous;
    if (x->previous)
        x->previous->next = x->next;
    else
        l->running = x->next;
    x->next = x->previous = NULL;
    x->linked = false;
    Py_DECREF(x);
}

/* Cuts body bytes into parts of at most MESSAGE_MAX. */
static int add_chunk(Exchange *x, const uint8_t *bytes, uint32_t length)
{
    PyObject *chunk = PyBytes_FromStringAndSize((const char *)bytes, length);
    if (chunk && !x->chunk) {
        x->chunk = chunk;
        return 0;
    }
    if (chunk && !x->chunks)
        x->chunks = PyList_New(0);
    int result = chunk && x->chunks ? PyList_Append(x->chunks, chunk) : -1;
    Py_XDECREF(chunk);
    return result;
}

static int add_body(Exchange *x, const uint8_t *bytes, uint32_t length)
{
    while (length > 0) {
        uint32_t n = length < MESSAGE_MAX ? length : MESSAGE_MAX;
        if (add_chunk(x, bytes, n) < 0)
            return -1;
        bytes += n;
        length -= n;
    }
    return 0;
}

/* What the OPEN has for receive() and send(). */
static int take_in(Exchange *x, const struct open *o)
{
    struct state_strings *str = &x->loop->state->str;
    if (!x->socket)
        return add_body(x, o->body.start, o->body.length);
    if (x->kind != KIND_WEBSOCKET)
        return 0;
    PyObject *list = PyDict_GetItemWithError(x->scope, str->subprotocols);
    PyObject *extensions = PyDict_GetItemWithError(x->scope, str->extensions);
    x->subprotocols = list ? PyList_GetSlice(list, 0, PyList_GET_SIZE(list)) : NULL; /* the application may change its own */
    return x->subprotocols && extensions ? PyDict_SetItem(extensions, str->broadcast, (PyObject *)x) : -1;
}

/* What was not received. */
static void forget_input(Exchange *x)
{
    if (x->socket) {
        socket_clear(x);
    } else {
        Py_CLEAR(x->chunk);
        Py_CLEAR(x->chunks);
    }
}

Exchange *exchange_new(AsyncLoop *l, struct link *k, const struct open *o)
{
    PyTypeObject *type = l->state->exchange_type;
    Exchange *x = (Exchange *)type->tp_alloc(type, 0);
    if (!x)
        return NULL;
    x->loop = (AsyncLoop *)Py_NewRef((PyObject *)l);
    x->link = k;
    x->id = o->id;
    x->stream = o->stream;
    x->credit = o->credit;
    x->body_whole = o->complete;
    x->kind = o->kind;
    x->target = o->target;
    x->socket = o->kind != KIND_HTTP;
    x->streams = target_streams(l, o->target);
    x->scope = o->kind <= KIND_WEBSOCKET ? scope_build(l, o) : stream_scope(l, o);
    if (!x->scope || take_in(x, o) < 0 || !link_enter(k, o->stream, x)) {
        Py_DECREF(x);
        return NULL;
    }
    Py_INCREF(x); /* for the stream table */
    link_running(x);
    l->in_flight++;
    return x;
}

static void ended(Exchange *x)
{
    if (x->app_ended && x->stream_over)
        loop_exchange_ended(x->loop);
}

void exchange_leave_stream(Exchange *x)
{
    if (x->stream_over)
        return;
    x->stream_over = true;
    link_leave(x->link, x->stream);
    wait_wake(x, WAIT_CLOSED);
    if (x->kind == KIND_UDP && x->transport)
        transport_over(x);
    ended(x);
    Py_DECREF(x);
}

bool exchange_frame(Exchange *x, const uint8_t *payload, struct frame f)
{
    if (f.type != FRAME_DATA && f.type != FRAME_END)
        return false;
    if (f.type == FRAME_DATA && add_body(x, payload, f.length) < 0)
        PyErr_WriteUnraisable((PyObject *)x);
    x->body_whole |= f.type == FRAME_END || f.flags & FLAG_END_STREAM;
    return true;
}

void exchange_window(Exchange *x, uint32_t credit)
{
    x->credit += credit;
    output_flush(x);
}

/* Tells the server, which had ended the stream for its deadline, that the application has ended, too. */
static void acknowledge(Exchange *x)
{
    output_reset(x, RESET_DEADLINE, "");
}

void exchange_reset(Exchange *x, uint16_t code)
{
    x->lost = true;
    output_drop(x);
    Py_INCREF(x);
    x->overdue = code == RESET_DEADLINE;
    if (!x->overdue)
        exchange_leave_stream(x);
    else if (x->app_ended)
        acknowledge(x);
    wait_wake(x, WAIT_RECEIVE);
    wait_wake(x, WAIT_SEND);
    stream_tell(x, NULL, 0);
    if (code == RESET_DEADLINE && x->task) {
        PyObject *cancelled = PyObject_CallMethodNoArgs(x->task, x->loop->state->str.cancel);
        if (!cancelled)
            PyErr_WriteUnraisable(x->task);
        Py_XDECREF(cancelled);
    }
    Py_DECREF(x);
}

void exchange_report(Exchange *x, PyObject *exception, const char *text)
{
    PyObject *result = PyObject_CallFunction(x->loop->report, "KOsi", (unsigned long long)x->id,
                                             exception ? exception : Py_None, text, x->kind);
    if (!result)
        PyErr_WriteUnraisable(x->loop->report);
    Py_XDECREF(result);
}

/* Cancelled by us, or told that the client is gone: not worth a word. Else a cancellation is an exception like others. */
static bool is_quiet(Exchange *x, PyObject *exception)
{
    State *s = x->loop->state;
    bool over = x->lost || x->complete || x->loop->closed;
    PyObject *loss = x->streams ? PyExc_ConnectionError : s->client_disconnected;
    return over && (PyErr_GivenExceptionMatches(exception, s->cancelled_error) ||
                    PyErr_GivenExceptionMatches(exception, PyExc_GeneratorExit) ||
                    (x->lost && PyErr_GivenExceptionMatches(exception, loss)));
}

/* Ends the response of an application that has returned. */
static void give_up_response(Exchange *x)
{
    if (x->body_sent) { /* announced trailers, sent none */
        if (output_end(x, NULL) < 0)
            PyErr_WriteUnraisable((PyObject *)x);
        output_commit(x);
        return;
    }
    exchange_report(x, NULL,
                    x->start_sent ? "the application returned before the end of its response"
                                  : "the application returned without a response");
    output_reset(x, RESET_APP_ERROR, "no complete response");
}

/* Ends the stream of an application that did not. */
static void give_up(Exchange *x, PyObject *exception)
{
    if (x->overdue && !x->stream_over)
        acknowledge(x);
    if (x->stream_over || x->overdue || x->complete)
        return;
    if (x->loop->closed && exception && PyErr_GivenExceptionMatches(exception, x->loop->state->cancelled_error))
        return; /* the process ends: the server says so to the client */
    if ((x->kind == KIND_TCP || x->kind == KIND_UDP) && exception) {
        output_reset(x, RESET_APP_ERROR, Py_TYPE(exception)->tp_name);
    } else if (x->accepted || (x->socket && !exception && !x->start_sent)) {
        if (socket_end(x, exception ? CLOSE_APP_ERROR : CLOSE_NORMAL, NULL) < 0)
            PyErr_WriteUnraisable((PyObject *)x);
    } else if (exception) {
        output_reset(x, RESET_APP_ERROR, Py_TYPE(exception)->tp_name);
    } else {
        give_up_response(x);
    }
}

/* Nothing of the application is left. */
static void end(Exchange *x, PyObject *exception)
{
    give_up(x, exception);
    x->app_ended = true;
    wait_wake(x, WAIT_RECEIVE);
    wait_wake(x, WAIT_SEND); /* what they wait for may have been dropped */
    forget_input(x);
    ended(x);
}

/* The application has ended, with exception or NULL. A handler may have left its StreamWriter to others: then the connection goes on
 * until that is closed, or gone. */
static void finish(Exchange *x, PyObject *exception)
{
    if (x->app_ended || x->detached)
        return;
    Py_CLEAR(x->coroutine);
    if (exception && !is_quiet(x, exception))
        exchange_report(x, exception, "");
    x->detached = x->handles && !exception;
    if (!x->detached)
        end(x, exception);
    Py_CLEAR(x->task);
    unlink_running(x);
}

void exchange_released(Exchange *x)
{
    if (!x->detached || x->app_ended)
        return;
    PyObject *raised = PyErr_GetRaisedException(); /* somebody's, who has dropped the last */
    end(x, NULL);
    PyErr_SetRaisedException(raised);
}

/* An exception that the event loop must see: cancellation, and what ends the process. */
static bool must_leave(Exchange *x, PyObject *exception)
{
    return PyErr_GivenExceptionMatches(exception, x->loop->state->cancelled_error) ||
           !PyErr_GivenExceptionMatches(exception, PyExc_Exception);
}

/* Looks at the outcome of one step and turns it into that of the task's step. */
static PySendResult after_step(Exchange *x, PySendResult sent, PyObject **result)
{
    x->stepping = false;
    if (sent == PYGEN_NEXT) {
        if (x->head_held && send_held_head(x) < 0)
            PyErr_WriteUnraisable((PyObject *)x);
        return sent;
    }
    if (sent == PYGEN_RETURN) {
        Py_XSETREF(*result, Py_NewRef(Py_None));
        finish(x, NULL);
        return sent;
    }
    PyObject *exception = PyErr_GetRaisedException();
    finish(x, exception);
    if (must_leave(x, exception)) {
        PyErr_SetRaisedException(exception);
        return PYGEN_ERROR;
    }
    Py_DECREF(exception);
    *result = Py_NewRef(Py_None);
    return PYGEN_RETURN;
}

/* The application has got hold of its task's coroutine, which is us, and steps it from inside. */
static bool is_running(Exchange *x)
{
    if (x->stepping)
        PyErr_SetString(PyExc_ValueError, "coroutine already executing");
    return x->stepping;
}

static PySendResult exchange_am_send(PyObject *self, PyObject *arg, PyObject **result)
{
    Exchange *x = (Exchange *)self;
    *result = NULL;
    if (is_running(x))
        return PYGEN_ERROR;
    x->stepping = true;
    Py_INCREF(x);
    PySendResult sent = PYGEN_ERROR;
    int called = x->coroutine ? 0 : target_call(x);
    if (called == 0)
        sent = PyIter_Send(x->coroutine, arg, result);
    else if (called > 0)
        sent = PYGEN_RETURN;
    sent = after_step(x, sent, result);
    Py_DECREF(x);
    return sent;
}

/* The outcome of a step in the form of iterators: NULL with StopIteration at the end. */
static PyObject *as_iterator(PySendResult sent, PyObject *result)
{
    if (sent != PYGEN_RETURN)
        return result;
    Py_XDECREF(result);
    PyErr_SetNone(PyExc_StopIteration);
    return NULL;
}

static PyObject *exchange_send(PyObject *self, PyObject *arg)
{
    PyObject *result = NULL;
    PySendResult sent = exchange_am_send(self, arg, &result);
    return as_iterator(sent, result);
}

static PyObject *exchange_iternext(PyObject *self)
{
    return exchange_send(self, Py_None);
}

static PyObject *exchange_self(PyObject *self)
{
    return Py_NewRef(self);
}

static void raise_thrown(PyObject *args)
{
    PyObject *type, *value = NULL, *traceback = NULL;
    if (!PyArg_UnpackTuple(args, "throw", 1, 3, &type, &value, &traceback))
        return;
    if (PyExceptionInstance_Check(type))
        PyErr_SetObject((PyObject *)Py_TYPE(type), type);
    else
        PyErr_SetObject(type, value);
}

static PyObject *exchange_throw(PyObject *self, PyObject *args)
{
    Exchange *x = (Exchange *)self;
    PyObject *result = NULL;
    PySendResult sent = PYGEN_ERROR;
    if (is_running(x))
        return NULL;
    x->stepping = true;
    Py_INCREF(x);
    if (x->coroutine) {
        PyObject *throw = PyObject_GetAttr(x->coroutine, x->loop->state->str.throw);
        result = throw ? PyObject_CallObject(throw, args) : NULL;
        Py_XDECREF(throw);
    } else {
        Py_CLEAR(x->scope);
        raise_thrown(args);
    }
    if (result)
        sent = PYGEN_NEXT;
    else if (PyErr_ExceptionMatches(PyExc_StopIteration)) {
        PyErr_Clear();
        sent = PYGEN_RETURN;
        result = Py_NewRef(Py_None);
    }
    sent = after_step(x, sent, &result);
    Py_DECREF(x);
    return as_iterator(sent, result);
}

static PyObject *exchange_close(PyObject *self, PyObject *Py_UNUSED(unused))
{
    Exchange *x = (Exchange *)self;
    PyObject *coroutine = Py_XNewRef(x->coroutine);
    PyObject *closed = coroutine ? PyObject_CallMethodNoArgs(coroutine, x->loop->state->str.close) : Py_NewRef(Py_None);
    Py_XDECREF(coroutine);
    return closed;
}

/* cr_frame, cr_await, cr_code and cr_running are the application's: task.get_stack() and its kin see through us. */
static PyObject *get_inner(PyObject *self, void *name)
{
    Exchange *x = (Exchange *)self;
    if (!x->coroutine)
        Py_RETURN_NONE;
    return PyObject_GetAttrString(x->coroutine, name);
}

static PyObject *get_qualname(PyObject *self, void *Py_UNUSED(closure))
{
    Exchange *x = (Exchange *)self;
    if (x->coroutine && PyCoro_CheckExact(x->coroutine))
        return PyObject_GetAttrString(x->coroutine, "__qualname__");
    return PyUnicode_FromString("awaitd.exchange");
}

static int exchange_traverse(PyObject *self, visitproc visit, void *arg)
{
    Exchange *x = (Exchange *)self;
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(x->loop);
    Py_VISIT(x->scope);
    Py_VISIT(x->coroutine);
    Py_VISIT(x->task);
    Py_VISIT(x->trailers); /* or what is in their place */
    return wait_visit(x, visit, arg);
}

static int exchange_clear(PyObject *self)
{
    Exchange *x = (Exchange *)self;
    Py_CLEAR(x->scope);
    Py_CLEAR(x->coroutine);
    Py_CLEAR(x->task);
    wait_drop(x);
    Py_CLEAR(x->trailers);
    return 0;
}

static void exchange_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    Exchange *x = (Exchange *)self;
    PyObject_GC_UnTrack(self);
    exchange_clear(self);
    output_drop(x);
    forget_input(x);
    Py_CLEAR(x->loop);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyMethodDef exchange_methods[] = {
    {"send", exchange_send, METH_O, NULL},
    {"throw", exchange_throw, METH_VARARGS, NULL},
    {"close", exchange_close, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef exchange_getset[] = {
    {"cr_frame", get_inner, NULL, NULL, "cr_frame"},
    {"cr_await", get_inner, NULL, NULL, "cr_await"},
    {"cr_code", get_inner, NULL, NULL, "cr_code"},
    {"cr_running", get_inner, NULL, NULL, "cr_running"},
    {"__qualname__", get_qualname, NULL, NULL, NULL},
    {"__name__", get_qualname, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot exchange_slots[] = {
    {Py_tp_dealloc, exchange_dealloc},   {Py_tp_traverse, exchange_traverse},
    {Py_tp_clear, exchange_clear},       {Py_tp_iter, exchange_self},
    {Py_tp_iternext, exchange_iternext}, {Py_am_await, exchange_self},
    {Py_am_send, exchange_am_send},      {Py_tp_methods, exchange_methods},
    {Py_tp_getset, exchange_getset},     {0, NULL},
};

PyType_Spec exchange_spec = {
    .name = "awaitd._wire.Exchange",
    .basicsize = sizeof(Exchange),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = exchange_slots,
};
