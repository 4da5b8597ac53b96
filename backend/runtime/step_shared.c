/* backend/runtime/step_shared.c - what all sessions of a program share: nothing, as long as no kernel packs weights. */
#include "backend/runtime/step.h"

ox_status oxr_shared_open(void **shared, ox_ctx *ctx)
{
    (void)ctx;
    *shared = NULL;
    return OX_OK;
}

void oxr_shared_close(void *shared, ox_ctx *ctx)
{
    (void)shared;
    (void)ctx;
}
