/* ir/ir.h - the module interface of ir/: what frontend, passes and backends include. */
#ifndef OX_IR_IR_H
#define OX_IR_IR_H

#include "ir/base/arena.h"
#include "ir/base/context.h"
#include "ir/base/bytes.h"
#include "ir/base/dim.h"
#include "ir/base/name.h"
#include "ir/base/type.h"
#include "ir/graph/exec.h"
#include "ir/graph/graph.h"
#include "ir/ops/op.h"
#include "ir/text/text.h"

#endif
