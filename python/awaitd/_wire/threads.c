/* A threaded worker loop: leader and followers over the same links (see call.h). */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <stdlib.h>

#include "call.h"
#include "links.h"

/* Moves what is live to the front of the fifo, and makes it larger if it is more than half full all the same. */
static bool make_room(ThreadLoop *l)
{
    uint32_t kept = 0;
    for (uint32_t i = l->pending_taken; i < l->pending_added; i++)
        if (l->pending[i].frame)
            l->pending[kept++] = l->pending[i];
    l->pending_taken = 0;
    l->pending_added = kept;
    if (2 * kept < l->pending_room)
        return true;
    uint32_t room = l->pending_room ? 2 * l->pending_room : 64;
    struct pending *grown = realloc(l->pending, room * sizeof *grown);
    if (!grown)
        return kept < l->pending_room;
    l->pending = grown;
    l->pending_room = room;
    return true;
}

static bool add_pending(ThreadLoop *l, struct pending p)
{
    if (l->pending_added == l->pending_room && !make_room(l))
        return false;
    l->pending[l->pending_added++] = p;
    return true;
}

static bool has_pending(const ThreadLoop *l)
{
    return l->pending_taken < l->pending_added;
}

/* Gives back the room up to the first request of the link that is not yet taken. What the server has revoked is forgotten: it needs
 * the room for the streams that run. */
static void move_head(ThreadLoop *l, uint32_t link)
{
    struct link *k = &l->links[link];
    uint64_t head = k->in.read;
    for (uint32_t i = l->pending_taken; i < l->pending_added; i++) {
        struct pending *p = &l->pending[i];
        if (p->link != link || !p->frame)
            continue;
        if (atomic_load(claim_word(p)) != CLAIM_REVOKED) {
            head = p->position;
            break;
        }
        p->frame = NULL;
    }
    if (atomic_load_explicit(k->in.head, memory_order_relaxed) == head)
        return;
    atomic_store_explicit(k->in.head, head, memory_order_release);
    link_release(k);
}

static void add_data(struct stream *s, const uint8_t *bytes, struct frame f)
{
    struct chunk *c = f.length ? malloc(sizeof *c + f.length) : NULL;
    if (c) {
        *c = (struct chunk){NULL, f.length, 0};
        memcpy(c->data, bytes, f.length);
        if (s->last)
            s->last->next = c;
        else
            s->first = c;
        s->last = c;
    } else if (f.length) {
        s->lost = true; /* no memory: better an error than a hole */
    }
    s->whole |= f.flags & FLAG_END_STREAM;
}

static void route(struct link *k, const uint8_t *frame, struct frame f)
{
    struct stream *s = link_stream(k, f.stream);
    if (f.type == FRAME_PING) {
        link_pong(k, frame);
        return;
    }
    if (!s || s->id != f.stream)
        return;
    if (f.type == FRAME_DATA)
        add_data(s, frame + FRAME_HEADER, f);
    else if (f.type == FRAME_END)
        s->whole = true;
    else if (f.type == FRAME_WINDOW)
        s->credit += f.length;
    else if (f.type == FRAME_RESET)
        s->lost = true;
    s->overdue |= f.type == FRAME_RESET && f.aux == RESET_DEADLINE;
    pthread_cond_broadcast(&s->changed);
}

/* Reads one link until it is empty; true if there was anything. */
static bool read_link(ThreadLoop *l, uint32_t link)
{
    struct link *k = &l->links[link];
    const uint8_t *frame;
    bool any = false;
    while ((frame = ring_peek(&k->in))) {
        struct frame f = frame_read(frame);
        if (f.type != FRAME_OPEN)
            route(k, frame, f);
        else if (!add_pending(l, (struct pending){(uint8_t *)frame, k->in.read, f.size, link}))
            break;
        k->in.read += f.size;
        any = true;
    }
    if (any || has_pending(l))
        move_head(l, link);
    link_retry_pong(k);
    link_publish(k);
    return any;
}

static bool read_links(ThreadLoop *l)
{
    bool any = false;
    for (Py_ssize_t i = 0; i < l->link_count; i++)
        any |= read_link(l, (uint32_t)i);
    return any;
}

static bool all_asleep(ThreadLoop *l)
{
    bool asleep = true;
    for (Py_ssize_t i = 0; i < l->link_count; i++)
        asleep &= ring_sleep(&l->links[i].in);
    return asleep;
}

/* After the doorbell rang there may be room for those who lacked it. */
static void wake_waiting(ThreadLoop *l)
{
    for (struct stream *s = l->waiting; s; s = s->next_waiting)
        pthread_cond_broadcast(&s->changed);
}

/* Reads the links, or waits for the doorbell and for extra (a descriptor, or -1); true if extra is readable or a signal came. */
static bool lead(ThreadLoop *l, int extra)
{
    if (read_links(l) || !all_asleep(l))
        return false;
    l->leading = true;
    pthread_mutex_unlock(&l->lock);
    struct pollfd fds[2] = {{l->doorbell, POLLIN, 0}, {extra, POLLIN, 0}};
    bool interrupted = poll(fds, 2, -1) < 0 ? extra >= 0 && errno == EINTR : fds[1].revents;
    if (fds[0].revents)
        doorbell_clear(l->doorbell);
    pthread_mutex_lock(&l->lock);
    l->leading = false;
    read_links(l);
    wake_waiting(l);
    return interrupted;
}

/* Somebody must read the links while anybody waits for what they bring. */
static void pass_lead(ThreadLoop *l)
{
    if (l->leading)
        return;
    if (l->followers)
        pthread_cond_signal(&l->follow);
    else if (l->waiting)
        pthread_cond_signal(&l->waiting->changed);
}

static void unlist(ThreadLoop *l, struct stream *s)
{
    struct stream **at = &l->waiting;
    while (*at && *at != s)
        at = &(*at)->next_waiting;
    if (*at)
        *at = s->next_waiting;
}

void threads_wait(ThreadLoop *l, struct stream *s, bool (*ready)(void *), void *argument)
{
    if (s->waiters++ == 0) { /* an application may have several threads at work on one request */
        s->next_waiting = l->waiting;
        l->waiting = s;
    }
    while (!ready(argument)) {
        if (l->leading)
            pthread_cond_wait(&s->changed, &l->lock);
        else
            lead(l, -1);
        if (has_pending(l) && l->followers)
            pthread_cond_signal(&l->follow);
    }
    if (--s->waiters == 0)
        unlist(l, s);
    pass_lead(l);
}

void threads_look(ThreadLoop *l)
{
    if (!l->leading)
        read_links(l);
}

void threads_forget(struct stream *s)
{
    if (s->over)
        return;
    s->over = true;
    if (link_stream(s->link, s->id) ==
        s) /* after a RESET the server may have given the slot to another, and that has been taken */
        link_leave(s->link, s->id);
    pthread_cond_broadcast(&s->changed);
}

/* Claims the first request that waits and copies it; NULL if there is none. GIL and lock held. */
static uint8_t *claim(ThreadLoop *l, struct link **link)
{
    uint8_t *copy = NULL;
    while (!copy && has_pending(l)) {
        struct pending p = l->pending[l->pending_taken];
        uint32_t unclaimed = CLAIM_OPEN;
        copy = malloc(p.size);
        if (!copy)
            return NULL;
        if (p.frame && atomic_compare_exchange_strong(claim_word(&p), &unclaimed, CLAIM_TAKEN)) {
            memcpy(copy, p.frame, p.size);
            *link = &l->links[p.link];
        } else {
            free(copy);
            copy = NULL;
        }
        l->pending_taken++;
        move_head(l, p.link);
    }
    return copy;
}

/* Makes c the call of the request in frame, which it takes over. False: refused. Lock held. */
static bool enter(Call *c, struct link *k, uint8_t *frame)
{
    c->frame = frame;
    bool sound = open_parse(&c->open, frame);
    c->stream.id = load32(frame + 4);
    c->stream.link = k;
    if (!sound || c->open.kind != KIND_HTTP || !link_enter(k, c->stream.id, &c->stream)) {
        link_refuse(k, c->stream.id, sound ? "this application takes only HTTP requests" : "malformed OPEN");
        link_publish(k);
        c->stream.over = true;
        return false;
    }
    c->stream.credit = c->open.credit;
    c->stream.whole = c->open.complete;
    c->inline_body = c->open.body;
    return true;
}

/* Takes a request, if there is one. GIL held. NULL without an exception: there is none. */
static Call *take(ThreadLoop *l)
{
    struct link *k = NULL;
    Call *c = call_new(l);
    if (!c)
        return NULL;
    pthread_mutex_lock(&l->lock);
    if (!has_pending(l) && !l->leading)
        read_links(l);
    uint8_t *frame = claim(l, &k);
    bool entered = frame && enter(c, k, frame);
    l->in_flight += entered;
    l->started += entered;
    if (entered)
        pass_lead(l);
    pthread_mutex_unlock(&l->lock);
    if (!entered)
        Py_CLEAR(c);
    return c;
}

static int check_idle(ThreadLoop *l)
{
    pthread_mutex_lock(&l->lock);
    threads_look(l);
    bool idle = l->on_idle && !l->in_flight && !has_pending(l);
    pthread_mutex_unlock(&l->lock);
    PyObject *callback = idle ? l->on_idle : NULL;
    if (!callback)
        return 0;
    l->on_idle = NULL;
    PyObject *result = PyObject_CallNoArgs(callback);
    Py_DECREF(callback);
    Py_XDECREF(result);
    return result ? 0 : -1;
}

static int run(ThreadLoop *l, Call *c)
{
    int result = call_run(c);
    PyObject *raised = result < 0 ? PyErr_GetRaisedException() : NULL;
    Py_DECREF(c);
    pthread_mutex_lock(&l->lock);
    l->in_flight--;
    pthread_mutex_unlock(&l->lock);
    if (check_idle(l) < 0)
        PyErr_WriteUnraisable((PyObject *)l);
    if (raised)
        PyErr_SetRaisedException(raised);
    return result;
}

/* Waits for a request, without the GIL; true if extra wants attention. */
static bool wait_request(ThreadLoop *l, int extra)
{
    bool interrupted = false;
    pthread_mutex_lock(&l->lock);
    l->followers++;
    while (!interrupted && !l->stopping && !has_pending(l)) {
        if (l->leading)
            pthread_cond_wait(&l->follow, &l->lock);
        else
            interrupted = lead(l, extra);
    }
    l->followers--;
    if (!l->leading && l->waiting) /* the GIL may be long in coming: let one of these lead meanwhile */
        pthread_cond_signal(&l->waiting->changed);
    pthread_mutex_unlock(&l->lock);
    return interrupted;
}

/* Signals, then whatever made extra readable. */
static int attend(PyObject *on_extra)
{
    if (PyErr_CheckSignals() < 0)
        return -1;
    PyObject *result = PyObject_CallNoArgs(on_extra);
    Py_XDECREF(result);
    return result ? 0 : -1;
}

static int serve_one(ThreadLoop *l, int extra, PyObject *on_extra)
{
    Call *c = take(l);
    if (c)
        return run(l, c);
    if (PyErr_Occurred() || (l->on_idle && check_idle(l) < 0)) /* what was left may have been revoked: nobody runs it */
        return -1;
    bool interrupted;
    Py_BEGIN_ALLOW_THREADS interrupted = wait_request(l, extra);
    Py_END_ALLOW_THREADS return interrupted ? attend(on_extra) : 0;
}

static PyObject *serve(PyObject *self, PyObject *args)
{
    ThreadLoop *l = (ThreadLoop *)self;
    int extra = -1;
    PyObject *on_extra = Py_None;
    if (!PyArg_ParseTuple(args, "|iO", &extra, &on_extra))
        return NULL;
    while (!l->stopping)
        if (serve_one(l, extra, on_extra) < 0)
            return NULL;
    Py_RETURN_NONE;
}

static PyObject *stop(PyObject *self, PyObject *Py_UNUSED(unused))
{
    ThreadLoop *l = (ThreadLoop *)self;
    pthread_mutex_lock(&l->lock);
    l->stopping = true;
    pthread_cond_broadcast(&l->follow);
    pthread_mutex_unlock(&l->lock);
    doorbell_ring(l->doorbell);
    Py_RETURN_NONE;
}

static PyObject *when_idle(PyObject *self, PyObject *callback)
{
    ThreadLoop *l = (ThreadLoop *)self;
    Py_XSETREF(l->on_idle, Py_NewRef(callback));
    if (check_idle(l) < 0)
        return NULL;
    Py_RETURN_NONE;
}

static int attach_links(ThreadLoop *l, PyObject *links)
{
    l->links = links_attach(l->state, links);
    if (!l->links)
        return -1;
    l->link_count = PyList_GET_SIZE(links);
    return 0;
}

static int loop_init(PyObject *self, PyObject *args, PyObject *kwargs)
{
    static char *keywords[] = {"application", "doorbell", "links", "root_path", "environ", "report", NULL};
    ThreadLoop *l = (ThreadLoop *)self;
    PyObject *application, *links, *root_path, *environ, *report;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OiO!UO!O", keywords, &application, &l->doorbell, &PyList_Type, &links,
                                     &root_path, &PyDict_Type, &environ, &report))
        return -1;
    if (l->links || PyList_GET_SIZE(links) == 0) {
        PyErr_SetString(PyExc_ValueError, "a worker loop needs links, once");
        return -1;
    }
    pthread_mutex_init(&l->lock, NULL);
    pthread_cond_init(&l->follow, NULL);
    l->module = Py_XNewRef(PyType_GetModuleByDef(Py_TYPE(self), &wire_module));
    l->state = l->module ? PyModule_GetState(l->module) : NULL;
    l->application = Py_NewRef(application);
    l->root_path = Py_NewRef(root_path);
    l->report = Py_NewRef(report);
    l->environ = l->state ? environ_template(l, environ) : NULL;
    return l->environ ? attach_links(l, links) : -1;
}

static int loop_traverse(PyObject *self, visitproc visit, void *arg)
{
    ThreadLoop *l = (ThreadLoop *)self;
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(l->module);
    Py_VISIT(l->application);
    Py_VISIT(l->environ);
    Py_VISIT(l->root_path);
    Py_VISIT(l->report);
    Py_VISIT(l->on_idle);
    return 0;
}

static int loop_clear(PyObject *self)
{
    ThreadLoop *l = (ThreadLoop *)self;
    Py_CLEAR(l->application);
    Py_CLEAR(l->environ);
    Py_CLEAR(l->root_path);
    Py_CLEAR(l->report);
    Py_CLEAR(l->on_idle);
    return 0;
}

static void loop_dealloc(PyObject *self)
{
    ThreadLoop *l = (ThreadLoop *)self;
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    loop_clear(self);
    if (l->links) {
        pthread_mutex_destroy(&l->lock);
        pthread_cond_destroy(&l->follow);
    }
    links_detach(l->links, l->link_count);
    free(l->pending);
    Py_CLEAR(l->module);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyObject *get_in_flight(PyObject *self, void *Py_UNUSED(closure))
{
    return PyLong_FromSsize_t(((ThreadLoop *)self)->in_flight);
}

static PyMethodDef loop_methods[] = {
    {"serve", serve, METH_VARARGS,
     "serve(fd=-1, on_readable=None): run requests on this thread until stop(); call on_readable when fd is readable and "
     "nothing waits."},
    {"stop", stop, METH_NOARGS, "Let every serve() return after its request."},
    {"when_idle", when_idle, METH_O, "Call callback() once, when no request runs and the rings are empty."},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef loop_getset[] = {
    {"in_flight", get_in_flight, NULL, "Requests that are running.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot loop_slots[] = {
    {Py_tp_new, PyType_GenericNew}, {Py_tp_init, loop_init},
    {Py_tp_dealloc, loop_dealloc},  {Py_tp_traverse, loop_traverse},
    {Py_tp_clear, loop_clear},      {Py_tp_methods, loop_methods},
    {Py_tp_getset, loop_getset},    {0, NULL},
};

PyType_Spec thread_loop_spec = {
    .name = "awaitd._wire.ThreadLoop",
    .basicsize = sizeof(ThreadLoop),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = loop_slots,
};
