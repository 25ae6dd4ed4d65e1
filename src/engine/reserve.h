/* engine/reserve.h - some bytes set aside, so that a full disk can be emptied. */
#pragma once

struct engine;

/* [any thread, may block] Before what is to free space: give the reserve up if there is none left. */
void reserve_use(struct engine *e);
/* [worker, or before the loop] Set it aside again, once there is room for it. */
void reserve_renew(struct engine *e);
