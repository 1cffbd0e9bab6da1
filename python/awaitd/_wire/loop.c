/* An asynchronous worker loop: takes frames from its links when the doorbell rings, in turns of bounded length.
 *
 * A turn goes round the links until they are empty or its budget of requests and time is spent; then it lets the event loop's
 * own callbacks run and goes on after them. Before it ends with empty rings it raises the waiting flags and looks again. Frames
 * written during a turn are published together; outside of a turn each is published at once. */
#define _GNU_SOURCE
#include <time.h>
#include <unistd.h>

#include "exchange.h"
#include "links.h"

enum {
    TURN_REQUESTS = 64,    /* then timers and the application's own sockets have their chance */
    TURN_NS = 2000000,     /* the same for slow applications */
    PUBLISH_REQUESTS = 16, /* answered, and the server may go on with them while the next are made */
    PUBLISH_NS = 500000,   /* a response waits no longer for its neighbours: each wake-up of the server costs 10-20 us */
    TURN_FRAMES = 1024,    /* frames that start nothing */
};

static uint64_t now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static int call_soon(AsyncLoop *l, const char *method)
{
    PyObject *callback = PyObject_GetAttrString((PyObject *)l, method);
    PyObject *handle = callback ? PyObject_CallOneArg(l->call_soon, callback) : NULL;
    Py_XDECREF(callback);
    Py_XDECREF(handle);
    return handle ? 0 : -1;
}

void loop_publish(AsyncLoop *l, struct link *k)
{
    if (!l->in_turn)
        link_publish(k);
}

int loop_schedule_flush(AsyncLoop *l)
{
    if (l->flush_scheduled)
        return 0;
    l->flush_scheduled = true;
    return call_soon(l, "flush");
}

void loop_block(Exchange *x)
{
    struct blocked_list *list = &x->loop->blocked[x->link - x->loop->links];
    if (x->is_blocked)
        return;
    x->is_blocked = true;
    x->next_blocked = NULL;
    Py_INCREF(x);
    if (list->last)
        list->last->next_blocked = x;
    else
        list->first = x;
    list->last = x;
}

/* Gives those who wait for room in the ring another try, in their order. */
static void retry_blocked(AsyncLoop *l, Py_ssize_t i)
{
    struct blocked_list list = l->blocked[i];
    l->blocked[i] = (struct blocked_list){NULL, NULL};
    for (Exchange *x = list.first, *next; x; x = next) {
        next = x->next_blocked;
        x->is_blocked = false;
        if (!x->stream_over)
            output_flush(x);
        Py_DECREF(x);
    }
    link_retry_pong(&l->links[i]);
}

static bool is_idle(AsyncLoop *l)
{
    bool idle = l->in_flight == 0;
    for (Py_ssize_t i = 0; idle && i < l->link_count; i++)
        idle = !ring_peek(&l->links[i].in);
    return idle;
}

static void check_idle(AsyncLoop *l)
{
    if (!l->on_idle || l->idle_scheduled || l->in_flight)
        return;
    l->idle_scheduled = true;
    if (call_soon(l, "_idle") < 0)
        PyErr_WriteUnraisable((PyObject *)l);
}

void loop_exchange_ended(AsyncLoop *l)
{
    l->in_flight--;
    check_idle(l);
}

/* Claims the request at the head of the ring, makes the exchange, gives the frame back. NULL: nothing to start. */
static Exchange *claim(AsyncLoop *l, struct link *k, const uint8_t *frame, uint32_t size)
{
    struct open o;
    Exchange *x = NULL;
    uint32_t unclaimed = CLAIM_OPEN;
    _Atomic uint32_t *word = (_Atomic uint32_t *)(void *)(frame + OPEN_CLAIM);
    if (!atomic_compare_exchange_strong(word, &unclaimed, CLAIM_TAKEN)) {
        ring_advance(&k->in, size);
        return NULL;
    }
    bool sound = open_parse(&o, frame) && o.target <= l->target_count;
    if (sound && o.kind <= KIND_SMTP)
        x = exchange_new(l, k, &o);
    if (!x)
        link_refuse(k, load32(frame + 4), sound ? "a kind of stream that this worker does not know" : "malformed OPEN");
    ring_advance(&k->in, size);
    return x;
}

/* Starts the application. -1 only for what ends the process. */
static int start(AsyncLoop *l, Exchange *x)
{
    PyObject *task = task_start(l, x);
    l->started++;
    if (task && !x->app_ended)
        x->task = Py_NewRef(task);
    Py_XDECREF(task);
    return task ? 0 : -1;
}

/* Does what a frame of a stream says. Returns the exchange, with a reference, if receive() may have something new. */
static Exchange *dispatch(struct link *k, const uint8_t *payload, struct frame f)
{
    Exchange *x = link_stream(k, f.stream);
    if (f.type == FRAME_PING) {
        link_pong(k, payload - FRAME_HEADER);
        return NULL;
    }
    if (!x || x->stream != f.stream)
        return NULL;
    Py_INCREF(x);
    bool news = false;
    if (f.type == FRAME_WINDOW)
        exchange_window(x, f.length);
    else if (f.type == FRAME_RESET)
        exchange_reset(x, f.aux);
    else
        news = x->socket ? socket_frame(x, payload, f) : exchange_frame(x, payload, f);
    if (news && x->waiters[WAIT_RECEIVE])
        return x;
    Py_DECREF(x);
    return NULL;
}

/* What a turn may still do. */
struct budget {
    int requests, frames;
    uint64_t deadline;
    bool spent;
};

/* Counts a step of an application. */
static void account(AsyncLoop *l, struct link *k, struct budget *b)
{
    uint64_t time = now();
    if (++l->unpublished >= PUBLISH_REQUESTS || time - l->published > PUBLISH_NS) {
        link_publish(k);
        l->published = time;
        l->unpublished = 0;
    }
    b->spent = --b->requests <= 0 || time > b->deadline;
}

static int take_request(AsyncLoop *l, struct link *k, const uint8_t *frame, uint32_t size, struct budget *b)
{
    Exchange *x = claim(l, k, frame, size);
    if (!x) {
        if (PyErr_Occurred())
            PyErr_WriteUnraisable((PyObject *)l);
        return 0;
    }
    int result = start(l, x);
    Py_DECREF(x);
    account(l, k, b);
    return result;
}

static int take_frame(AsyncLoop *l, struct link *k, const uint8_t *frame, struct frame f, struct budget *b)
{
    Exchange *x = dispatch(k, frame + FRAME_HEADER, f);
    ring_advance(&k->in, f.size);
    b->spent = --b->frames <= 0;
    if (!x)
        return 0;
    int stepped = wait_resume(x);
    Py_DECREF(x);
    if (stepped)
        account(l, k, b);
    return stepped < 0 ? -1 : 0;
}

/* Takes frames from one link until it is empty or the budget is spent. -1 with what must end the process. */
static int drain(AsyncLoop *l, struct link *k, struct budget *b)
{
    int result = 0;
    const uint8_t *frame;
    while (!result && !b->spent && (frame = ring_peek(&k->in))) {
        struct frame f = frame_read(frame);
        if (f.type == FRAME_OPEN)
            result = take_request(l, k, frame, f.size, b);
        else
            result = take_frame(l, k, frame, f, b);
    }
    link_release(k);
    link_publish(k);
    return result;
}

/* Once round all links. */
static int round_of(AsyncLoop *l, struct budget *b)
{
    int result = 0;
    for (Py_ssize_t n = 0; !result && n < l->link_count; n++) {
        Py_ssize_t i = (l->next_link + n) % l->link_count;
        if (l->blocked[i].first || l->links[i].pong_owed)
            retry_blocked(l, i);
        result = drain(l, &l->links[i], b);
    }
    l->next_link = (l->next_link + 1) % l->link_count;
    return result;
}

/* True if every ring is empty and its producer knows that it must ring. */
static bool all_asleep(AsyncLoop *l)
{
    bool asleep = true;
    for (Py_ssize_t i = 0; i < l->link_count; i++)
        asleep &= ring_sleep(&l->links[i].in);
    return asleep;
}

static int run_turn(AsyncLoop *l)
{
    uint64_t time = now();
    struct budget b = {TURN_REQUESTS, TURN_FRAMES, time + TURN_NS, false};
    l->published = time;
    int result = 0;
    do
        result = round_of(l, &b);
    while (!result && !b.spent && !all_asleep(l));
    if (result || b.spent) {
        l->turn_scheduled = true;
        PyObject *raised = PyErr_GetRaisedException();
        if (call_soon(l, "turn") < 0)
            PyErr_WriteUnraisable((PyObject *)l);
        PyErr_SetRaisedException(raised);
    }
    return result;
}

static PyObject *turn(PyObject *self, PyObject *Py_UNUSED(unused))
{
    AsyncLoop *l = (AsyncLoop *)self;
    l->turn_scheduled = false;
    if (l->closed || l->in_turn)
        Py_RETURN_NONE;
    task_refresh(l);
    l->in_turn = true;
    int result = run_turn(l);
    l->in_turn = false;
    for (Py_ssize_t i = 0; i < l->link_count; i++)
        link_publish(&l->links[i]);
    if (result < 0)
        return NULL;
    check_idle(l);
    Py_RETURN_NONE;
}

static PyObject *on_doorbell(PyObject *self, PyObject *unused)
{
    AsyncLoop *l = (AsyncLoop *)self;
    doorbell_clear(l->doorbell);
    if (l->turn_scheduled)
        Py_RETURN_NONE;
    return turn(self, unused);
}

/* Lets out the heads that no body has followed. */
static PyObject *flush(PyObject *self, PyObject *Py_UNUSED(unused))
{
    AsyncLoop *l = (AsyncLoop *)self;
    Exchange *x = l->held;
    l->held = NULL;
    l->flush_scheduled = false;
    for (Exchange *next; x; x = next) {
        next = x->next_held;
        x->is_held = false;
        if (send_held_head(x) < 0)
            PyErr_WriteUnraisable((PyObject *)x);
        Py_DECREF(x);
    }
    Py_RETURN_NONE;
}

static PyObject *idle(PyObject *self, PyObject *Py_UNUSED(unused))
{
    AsyncLoop *l = (AsyncLoop *)self;
    l->idle_scheduled = false;
    if (!l->on_idle || !is_idle(l))
        Py_RETURN_NONE;
    PyObject *callback = l->on_idle;
    l->on_idle = NULL;
    PyObject *result = PyObject_CallNoArgs(callback);
    Py_DECREF(callback);
    return result;
}

static PyObject *when_idle(PyObject *self, PyObject *callback)
{
    AsyncLoop *l = (AsyncLoop *)self;
    Py_XSETREF(l->on_idle, Py_NewRef(callback));
    check_idle(l);
    if (PyErr_Occurred())
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *tasks(PyObject *self, PyObject *Py_UNUSED(unused))
{
    AsyncLoop *l = (AsyncLoop *)self;
    PyObject *list = PyList_New(0);
    for (Exchange *x = l->running; list && x; x = x->next)
        if (x->task && PyList_Append(list, x->task) < 0)
            Py_CLEAR(list);
    return list;
}

static PyObject *loop_close(PyObject *self, PyObject *Py_UNUSED(unused))
{
    ((AsyncLoop *)self)->closed = true;
    Py_RETURN_NONE;
}

static int attach_links(AsyncLoop *l, PyObject *links)
{
    l->links = links_attach(l->state, links);
    if (!l->links)
        return -1;
    l->link_count = PyList_GET_SIZE(links);
    l->blocked = PyMem_Calloc((size_t)l->link_count, sizeof *l->blocked);
    if (!l->blocked)
        PyErr_NoMemory();
    return l->blocked ? 0 : -1;
}

static int loop_init(PyObject *self, PyObject *args, PyObject *kwargs)
{
    static char *keywords[] = {"application", "event_loop", "doorbell",     "links",   "root_path", "state",
                               "report",      "debug",      "message_cost", "targets", NULL};
    AsyncLoop *l = (AsyncLoop *)self;
    PyObject *application, *event_loop, *links, *root_path, *lifespan_state, *report, *debug, *targets;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOiO!UOOOIO!", keywords, &application, &event_loop, &l->doorbell,
                                     &PyList_Type, &links, &root_path, &lifespan_state, &report, &debug, &l->message_cost,
                                     &PyList_Type, &targets))
        return -1;
    if (l->links || PyList_GET_SIZE(links) == 0) {
        PyErr_SetString(PyExc_ValueError, "a worker loop needs links, once");
        return -1;
    }
    l->module = Py_XNewRef(PyType_GetModuleByDef(Py_TYPE(self), &wire_module));
    l->state = l->module ? PyModule_GetState(l->module) : NULL;
    l->application = Py_NewRef(application);
    l->event_loop = Py_NewRef(event_loop);
    l->root_path = Py_NewRef(root_path);
    l->lifespan_state = lifespan_state == Py_None ? NULL : Py_NewRef(lifespan_state);
    l->report = Py_NewRef(report);
    l->debug = debug == Py_None ? NULL : Py_NewRef(debug);
    return l->state && targets_take(l, targets) == 0 && scope_setup(l) == 0 && attach_links(l, links) == 0 ? task_setup(l) : -1;
}

static int loop_traverse(PyObject *self, visitproc visit, void *arg)
{
    AsyncLoop *l = (AsyncLoop *)self;
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(l->module);
    Py_VISIT(l->application);
    Py_VISIT(l->event_loop);
    Py_VISIT(l->event_loop_dict);
    Py_VISIT(l->capture);
    Py_VISIT(l->call_soon);
    Py_VISIT(l->captured_step);
    Py_VISIT(l->captured_context);
    Py_VISIT(l->scope);
    Py_VISIT(l->socket_scope);
    Py_VISIT(l->lifespan_state);
    Py_VISIT(l->extensions);
    Py_VISIT(l->socket_extensions);
    Py_VISIT(l->root_path);
    Py_VISIT(l->report);
    Py_VISIT(l->debug);
    Py_VISIT(l->on_idle);
    for (Exchange *x = l->running; x; x = x->next)
        Py_VISIT(x);
    for (Py_ssize_t i = 0; i < l->target_count; i++)
        Py_VISIT(l->targets[i].callable);
    return registry_visit(&l->registry, visit, arg);
}

static int loop_clear(PyObject *self)
{
    AsyncLoop *l = (AsyncLoop *)self;
    Py_CLEAR(l->application);
    Py_CLEAR(l->event_loop);
    Py_CLEAR(l->event_loop_dict);
    Py_CLEAR(l->capture);
    Py_CLEAR(l->call_soon);
    Py_CLEAR(l->captured_step);
    Py_CLEAR(l->captured_context);
    Py_CLEAR(l->scope);
    Py_CLEAR(l->socket_scope);
    Py_CLEAR(l->lifespan_state);
    Py_CLEAR(l->extensions);
    Py_CLEAR(l->socket_extensions);
    Py_CLEAR(l->root_path);
    Py_CLEAR(l->report);
    Py_CLEAR(l->debug);
    Py_CLEAR(l->on_idle);
    for (Py_ssize_t i = 0; i < l->target_count; i++)
        Py_CLEAR(l->targets[i].callable);
    registry_close(&l->registry);
    return 0;
}

/* Exchanges hold the loop, so none is left. */
static void loop_dealloc(PyObject *self)
{
    AsyncLoop *l = (AsyncLoop *)self;
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    loop_clear(self);
    links_detach(l->links, l->link_count);
    PyMem_Free(l->blocked);
    PyMem_Free(l->targets);
    Py_CLEAR(l->module);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyObject *get_in_flight(PyObject *self, void *Py_UNUSED(closure))
{
    return PyLong_FromSsize_t(((AsyncLoop *)self)->in_flight);
}

static PyObject *get_started(PyObject *self, void *Py_UNUSED(closure))
{
    return PyLong_FromUnsignedLongLong(((AsyncLoop *)self)->started);
}

static PyMethodDef loop_methods[] = {
    {"turn", turn, METH_NOARGS, "Take frames from the links, for one turn."},
    {"on_doorbell", on_doorbell, METH_NOARGS, "Clear the doorbell and take a turn."},
    {"flush", flush, METH_NOARGS, "Send the response heads that no body has followed."},
    {"when_idle", when_idle, METH_O, "Call callback() once, when no exchange is in flight and the rings are empty."},
    {"_idle", idle, METH_NOARGS, NULL},
    {"tasks", tasks, METH_NOARGS, "The tasks of the running exchanges."},
    {"close", loop_close, METH_NOARGS, "Take no more turns."},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef loop_getset[] = {
    {"in_flight", get_in_flight, NULL, "Exchanges whose application or stream has not ended.", NULL},
    {"started", get_started, NULL, "Exchanges started so far.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot loop_slots[] = {
    {Py_tp_new, PyType_GenericNew}, {Py_tp_init, loop_init},
    {Py_tp_dealloc, loop_dealloc},  {Py_tp_traverse, loop_traverse},
    {Py_tp_clear, loop_clear},      {Py_tp_methods, loop_methods},
    {Py_tp_getset, loop_getset},    {0, NULL},
};

PyType_Spec async_loop_spec = {
    .name = "awaitd._wire.AsyncLoop",
    .basicsize = sizeof(AsyncLoop),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = loop_slots,
};
