/* What takes an exchange: the application, or one of the targets that addresses lead to. */
#include "exchange.h"

int targets_take(AsyncLoop *l, PyObject *targets)
{
    l->targets = PyMem_Calloc((size_t)PyList_GET_SIZE(targets) + 1, sizeof *l->targets);
    if (!l->targets) {
        PyErr_NoMemory();
        return -1;
    }
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(targets); i++) {
        int streams;
        PyObject *callable;
        if (!PyArg_ParseTuple(PyList_GET_ITEM(targets, i), "Op", &callable, &streams))
            return -1;
        l->targets[l->target_count++] = (struct target){Py_NewRef(callable), streams};
    }
    return 0;
}

bool target_streams(const AsyncLoop *l, uint16_t target)
{
    return target && l->targets[target - 1].streams;
}

static PyObject *call_asgi(Exchange *x, PyObject *application, PyObject *scope)
{
    PyObject *receive = PyCFunction_New(&receive_method, (PyObject *)x);
    PyObject *send = receive ? PyCFunction_New(&send_method, (PyObject *)x) : NULL;
    PyObject *arguments[] = {scope, receive, send};
    PyObject *awaitable = send ? PyObject_Vectorcall(application, arguments, 3, NULL) : NULL;
    Py_XDECREF(receive);
    Py_XDECREF(send);
    return awaitable;
}

static PyObject *call_handler(Exchange *x, PyObject *handler)
{
    PyObject *reader = reader_new(x);
    PyObject *writer = reader ? writer_new(x) : NULL;
    PyObject *arguments[] = {reader, writer};
    PyObject *result = writer ? PyObject_Vectorcall(handler, arguments, 2, NULL) : NULL;
    Py_XDECREF(reader);
    Py_XDECREF(writer);
    return result;
}

int target_call(Exchange *x)
{
    AsyncLoop *l = x->loop;
    PyObject *scope = x->scope;
    PyObject *callable = x->target ? l->targets[x->target - 1].callable : l->application;
    if (!scope || (x->streams && x->accepted)) {
        PyErr_SetString(PyExc_RuntimeError, "cannot reuse already awaited exchange");
        return -1;
    }
    if (x->kind > KIND_WEBSOCKET && socket_accept(x) < 0)
        return -1;
    PyObject *awaitable;
    if (x->kind == KIND_UDP && x->streams)
        return transport_start(x, callable) < 0 ? -1 : 1;
    if (x->streams) {
        awaitable = call_handler(x, callable);
    } else {
        x->scope = NULL;
        awaitable = call_asgi(x, callable, scope);
        Py_DECREF(scope);
    }
    if (!awaitable)
        return -1;
    if (PyCoro_CheckExact(awaitable)) {
        x->coroutine = awaitable;
        return 0;
    }
    if (x->streams && !PyObject_HasAttr(awaitable, l->state->str.await)) {
        Py_DECREF(awaitable);
        return 1;
    }
    PyAsyncMethods *methods = Py_TYPE(awaitable)->tp_as_async;
    if (methods && methods->am_await)
        x->coroutine = methods->am_await(awaitable);
    else
        PyErr_Format(PyExc_TypeError, "the application must return an awaitable, got %.100s", Py_TYPE(awaitable)->tp_name);
    Py_DECREF(awaitable);
    return x->coroutine ? 0 : -1;
}
