/**
 * What the pickle of a PyTorch checkpoint may name: dictionaries, element types and plain tensors; and, beside
 * them, what training tools leave in a checkpoint, of which nothing is made.
 *
 * These tables are the whole of what a checkpoint can reach. Nothing in them runs code that comes from the
 * file, and every argument is checked here before a tensor is made of it.
 */

import type { Refuse } from "./cursor.ts";
import type { Dtype } from "./header.ts";
import { Callable, InertGlobal, type PickleHost, Tuple } from "./pickle.ts";
import { Storage, TensorView } from "./view.ts";

/** Each element type: PyTorch's name of it, and of the class of its storages. */
const elementTypes: readonly [dtype: Dtype, name: string, storage: string][] = [
  ["F32", "torch.float32", "torch.FloatStorage"],
  ["F16", "torch.float16", "torch.HalfStorage"],
  ["BF16", "torch.bfloat16", "torch.BFloat16Storage"],
  ["F64", "torch.float64", "torch.DoubleStorage"],
  ["I64", "torch.int64", "torch.LongStorage"],
  ["I32", "torch.int32", "torch.IntStorage"],
  ["I16", "torch.int16", "torch.ShortStorage"],
  ["I8", "torch.int8", "torch.CharStorage"],
  ["U8", "torch.uint8", "torch.ByteStorage"],
  ["BOOL", "torch.bool", "torch.BoolStorage"],
];

const PLAIN_TYPES = [
  "set",
  "frozenset",
  "list",
  "dict",
  "int",
  "float",
  "bool",
  "complex",
  "slice",
];

/**
 * Values that stand beside the weights in training checkpoints: scores as numpy's numbers, arguments,
 * paths, times. They are read over.
 */
const inertGlobals: Readonly<Record<string, readonly string[]>> = {
  "numpy": ["dtype", "ndarray", "bool_", "float16", "float32", "float64", "int32", "int64", "str_"],
  "numpy.core.multiarray": ["scalar", "_reconstruct"],
  "numpy._core.multiarray": ["scalar", "_reconstruct"],
  "numpy.core.numeric": ["_frombuffer"],
  "numpy._core.numeric": ["_frombuffer"],
  "_codecs": ["encode"],
  builtins: [...PLAIN_TYPES, "str", "range"],
  "__builtin__": [...PLAIN_TYPES, "long", "unicode", "xrange"], // as protocol 2 has it, for Python 2
  "collections": ["defaultdict", "Counter", "deque"],
  "argparse": ["Namespace"],
  "types": ["SimpleNamespace"],
  "datetime": ["datetime", "date", "time", "timedelta", "timezone"],
  "pathlib": ["Path", "PosixPath", "PurePosixPath", "WindowsPath", "PureWindowsPath"],
  "pathlib._local": ["Path", "PosixPath", "PurePosixPath", "WindowsPath", "PureWindowsPath"],
  "torch": ["device", "Generator"],
  "pytorch_lightning.utilities.parsing": ["AttributeDict"],
  "lightning_fabric.utilities.data": ["AttributeDict"],
  "lightning.fabric.utilities.data": ["AttributeDict"],
};

/** A class of storages: something to name, not to call. */
class StorageClass {
  constructor(readonly dtype: Dtype) {}
}

/** PyTorch's own limit. */
const maximumDimensions = 64;

/**
 * The host of one checkpoint's pickles.
 *
 * @param refuse called with the reason when something is not sound; it must throw
 * @param refuseGlobal the same for a global that is not in the table, with its name
 * @returns the host, and the storages that have been referred to so far, by their keys
 */
export function rebuildingHost(
  refuse: Refuse,
  refuseGlobal: (name: string) => never,
): { host: PickleHost; storages: Map<string, Storage> } {
  const storages = new Map<string, Storage>();

  const orderedDict = new Callable((args) =>
    args.length === 0 ? new Map() : refuse("it was written by Python 2; save it anew by 3")
  );
  const size = new Callable(([items]) =>
    new Tuple(items instanceof Tuple ? items.items : Array.isArray(items) ? items : [])
  );
  const rebuildTensor = new Callable(([storage, offset, shape, stride, , , metadata]) => {
    if (!(storage instanceof Storage)) return refuse("it makes a tensor of what is not a storage");
    const sizes = wholeNumbers(shape);
    const strides = wholeNumbers(stride);
    if (!isWhole(offset) || !sizes || !strides || sizes.length !== strides.length) {
      return refuse("it makes a tensor with a malformed offset, shape or stride");
    }
    if (metadata instanceof Map ? metadata.size > 0 : metadata != null) {
      refuse("it has a tensor that is a conjugated or negated view: store a copy of it");
    }
    return new TensorView(storage, offset, sizes, strides, refuse);
  });
  const rebuildParameter = new Callable(([tensor]) =>
    tensor instanceof TensorView ? tensor : refuse("it makes a parameter of what is not a tensor")
  );

  const globals = new Map<string, unknown>([
    ["collections.OrderedDict", orderedDict],
    ["torch.Size", size],
    ["torch._utils._rebuild_tensor", rebuildTensor],
    ["torch._utils._rebuild_tensor_v2", rebuildTensor],
    ["torch._utils._rebuild_parameter", rebuildParameter],
  ]);
  for (const [module, names] of Object.entries(inertGlobals)) {
    for (const name of names) globals.set(`${module}.${name}`, new InertGlobal());
  }
  for (const [dtype, name, storage] of elementTypes) {
    globals.set(name, dtype);
    globals.set(storage, new StorageClass(dtype));
  }

  const host: PickleHost = {
    global: (name) => globals.get(name) ?? refuseGlobal(name),
    persistent(id) {
      const [kind, type, key, , length, window] = id instanceof Tuple ? id.items : [];
      if (
        kind !== "storage" || !(type instanceof StorageClass) || typeof key !== "string" ||
        !isWhole(length)
      ) {
        return refuse("it refers to something that is not a storage of a plain element type");
      }
      if (window != null) {
        refuse("it has a view of a storage, as only early versions of PyTorch wrote it");
      }
      const known = storages.get(key);
      if (known && (known.dtype !== type.dtype || known.length !== length)) {
        refuse(`it describes storage ${key} in two ways`);
      }
      const storage = known ?? new Storage(key, type.dtype, length);
      storages.set(key, storage);
      return storage;
    },
  };
  return { host, storages };
}

const isWhole = (value: unknown): value is number =>
  Number.isSafeInteger(value) && value as number >= 0;

/** The items of a tuple of sizes or strides. Others, among them negative ones, give `undefined`. */
function wholeNumbers(value: unknown): readonly number[] | undefined {
  if (!(value instanceof Tuple) || value.items.length > maximumDimensions) return undefined;
  return value.items.every(isWhole) ? [...value.items] : undefined;
}
