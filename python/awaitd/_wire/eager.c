/* Real tasks, started eagerly: the first step of a request runs at once, inside its own task and context.
 *
 * On 3.12 and later Task(eager_start=True) does that. Before, the Task's constructor schedules its first step with
 * loop.call_soon; a capturing call_soon in the loop's instance dictionary takes that step for us while the constructor runs. The
 * constructor may also run a garbage collection whose finalizers call call_soon: what is not the first step of the new task is
 * passed on. A loop with a task factory, or without a dictionary, is respected: then the task starts when the loop says so. */
#include "exchange.h"

static void forget(AsyncLoop *l)
{
    Py_CLEAR(l->captured_step);
    Py_CLEAR(l->captured_context);
    l->capturing_for = NULL;
}

static PyObject *forward(AsyncLoop *l, PyObject *step, PyObject *context)
{
    static const char *const keywords = "context";
    PyObject *kwargs = context ? Py_BuildValue("{sO}", keywords, context) : NULL;
    PyObject *args = PyTuple_Pack(1, step);
    PyObject *handle = args ? PyObject_Call(l->call_soon, args, kwargs) : NULL;
    Py_XDECREF(args);
    Py_XDECREF(kwargs);
    return handle;
}

static bool is_step(AsyncLoop *l, PyObject *callback)
{
    if (l->step_type)
        return Py_TYPE(callback) == l->step_type;
    const char *name = strrchr(Py_TYPE(callback)->tp_name, '.');
    name = name ? name + 1 : Py_TYPE(callback)->tp_name;
    if (strcmp(name, "TaskStepMethWrapper"))
        return false;
    l->step_type = Py_TYPE(callback);
    return true;
}

/* True if step belongs to the task of the coroutine that is being started. */
static bool is_ours(AsyncLoop *l, PyObject *step)
{
    struct state_strings *str = &l->state->str;
    PyObject *task = PyObject_GetAttr(step, str->self);
    PyObject *coroutine = task ? PyObject_CallMethodNoArgs(task, str->get_coro) : NULL;
    bool ours = coroutine && coroutine == l->capturing_for;
    Py_XDECREF(task);
    Py_XDECREF(coroutine);
    PyErr_Clear();
    return ours;
}

static PyObject *keep(AsyncLoop *l, PyObject *step, PyObject *context)
{
    Py_XSETREF(l->captured_step, Py_NewRef(step));
    Py_XSETREF(l->captured_context, Py_XNewRef(context));
    Py_RETURN_NONE;
}

/* A second step while one is kept: only one of them is ours. */
static PyObject *keep_ours(AsyncLoop *l, PyObject *step, PyObject *context)
{
    if (is_ours(l, l->captured_step))
        return forward(l, step, context);
    PyObject *handle = forward(l, l->captured_step, l->captured_context);
    if (!handle)
        return NULL;
    Py_DECREF(handle);
    return keep(l, step, context);
}

/* call_soon(callback, *args, context=None), while a task is constructed. */
static PyObject *capture(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *keywords)
{
    AsyncLoop *l = (AsyncLoop *)self;
    bool with_context = keywords && PyTuple_GET_SIZE(keywords) == 1;
    if (!l->capturing_for || count != 1 || (keywords && !with_context) || !is_step(l, args[0]))
        return PyObject_Vectorcall(l->call_soon, args, (size_t)count, keywords);
    PyObject *context = with_context ? args[1] : NULL;
    return l->captured_step ? keep_ours(l, args[0], context) : keep(l, args[0], context);
}

static PyMethodDef capture_method = {"call_soon", (PyCFunction)(void (*)(void))capture, METH_FASTCALL | METH_KEYWORDS, NULL};

/* asyncio's set of all tasks calls this, while a task is constructed. */
static PyObject *add_task(PyObject *self, PyObject *task)
{
    return registry_add(&((AsyncLoop *)self)->registry, task);
}

static PyMethodDef add_task_method = {"add", add_task, METH_O, NULL};

/* Runs the captured step inside its context. -1 only for what ends the process. */
static int run_captured(AsyncLoop *l)
{
    PyObject *step = l->captured_step, *context = l->captured_context;
    l->captured_step = l->captured_context = NULL;
    if (!step)
        return 0;
    PyObject *result = NULL;
    if (!context || PyContext_Enter(context) == 0) {
        result = PyObject_CallNoArgs(step);
        PyObject *raised = result || !context ? NULL : PyErr_GetRaisedException();
        if (context)
            PyContext_Exit(context);
        if (raised)
            PyErr_SetRaisedException(raised);
    }
    Py_DECREF(step);
    Py_XDECREF(context);
    Py_XDECREF(result);
    return result ? 0 : -1;
}

static PyObject *construct(AsyncLoop *l, Exchange *x)
{
    State *s = l->state;
    PyObject *arguments[] = {(PyObject *)x, l->event_loop, s->task_name, Py_True};
    bool eager = l->mode == TASK_EAGER;
    return PyObject_Vectorcall(s->task_type, arguments, 1, eager ? s->eager_keywords : s->plain_keywords);
}

/* Constructs the task, with its first step captured. */
static PyObject *construct_captured(AsyncLoop *l, Exchange *x)
{
    PyObject *key = l->state->str.call_soon;
    if (PyDict_SetItem(l->event_loop_dict, key, l->capture) < 0)
        return NULL;
    registry_enter(&l->registry);
    l->capturing_for = (PyObject *)x;
    PyObject *task = construct(l, x);
    l->capturing_for = NULL;
    PyObject *raised = task ? NULL : PyErr_GetRaisedException();
    registry_leave(&l->registry);
    if (PyDict_DelItem(l->event_loop_dict, key) < 0)
        PyErr_Clear();
    if (raised)
        PyErr_SetRaisedException(raised);
    return task;
}

static PyObject *start_captured(AsyncLoop *l, Exchange *x)
{
    PyObject *task = construct_captured(l, x);
    if (!task) {
        PyObject *raised = PyErr_GetRaisedException();
        forget(l);
        PyErr_SetRaisedException(raised);
        return NULL;
    }
    PyObject *reference = registry_take(&l->registry, task);
    int result = run_captured(l);
    if (reference && result == 0 && x->app_ended)
        registry_drop(&l->registry, reference);
    Py_XDECREF(reference);
    if (result < 0)
        Py_CLEAR(task);
    return task;
}

PyObject *task_start(AsyncLoop *l, Exchange *x)
{
    if (l->mode == TASK_CAPTURED)
        return start_captured(l, x);
    if (l->mode == TASK_FACTORY)
        return PyObject_CallMethodOneArg(l->event_loop, l->state->str.create_task, (PyObject *)x);
    return construct(l, x);
}

/* The loop's instance dictionary, if call_soon can be put there. */
static PyObject *instance_dict(AsyncLoop *l)
{
    PyObject *dict = PyObject_GenericGetDict(l->event_loop, NULL);
    if (!dict || PyDict_Contains(dict, l->state->str.call_soon) != 0)
        Py_CLEAR(dict);
    PyErr_Clear();
    return dict;
}

int task_setup(AsyncLoop *l)
{
    l->call_soon = PyObject_GetAttr(l->event_loop, l->state->str.call_soon);
    l->capture = PyCFunction_New(&capture_method, (PyObject *)l);
    if (!l->call_soon || !l->capture)
        return -1;
    l->eager = Py_Version >= 0x030C0000;
    if (!l->eager) {
        l->event_loop_dict = instance_dict(l);
        registry_open(&l->registry, PyCFunction_New(&add_task_method, (PyObject *)l));
    }
    return 0;
}

void task_refresh(AsyncLoop *l)
{
    PyObject *factory = PyObject_CallMethodNoArgs(l->event_loop, l->state->str.get_task_factory);
    bool set = factory && factory != Py_None;
    if (!factory) /* an event loop that doesn't know of them */
        PyErr_Clear();
    l->mode = set ? TASK_FACTORY : l->eager ? TASK_EAGER : l->event_loop_dict ? TASK_CAPTURED : TASK_PLAIN;
    Py_XDECREF(factory);
}
