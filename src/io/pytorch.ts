/**
 * PyTorch checkpoints: what `torch.save` made of a state_dict, now or before version 1.6.
 *
 * A checkpoint is a pickle that describes tensors as views of storages, and the storages' raw bytes.
 * Since 1.6 both are files in a zip archive; before, they followed one another. Either way the whole
 * description is checked against the file before a tensor is returned, no code in it is run, and the
 * bytes of a tensor are read when it is.
 */

import { UserError } from "../errors.ts";
import type { Refuse } from "./cursor.ts";
import { Inert, unpickle } from "./pickle.ts";
import { rebuildingHost } from "./rebuild.ts";
import type { ByteSource, StoredTensor } from "./source.ts";
import { TensorView } from "./view.ts";
import { type ArchivedFile, openZip } from "./zip.ts";

/** A table of 1,000 tensors has some 100 kB; the limit bounds what a hostile one costs. */
const maximumPickleBytes = 16 * 2 ** 20;

/** A description, and where each storage begins in the file, in bytes, by its key. */
interface Checkpoint {
  readonly content: unknown;
  readonly begins: ReadonlyMap<string, number>;
}

/**
 * The tensors of a checkpoint, in their order, without reading them.
 *
 * A training checkpoint, in which the state_dict is one of several entries, is opened if there is no
 * doubt which one it is.
 *
 * @throws UserError if the file is damaged, names anything but tensors (it is then refused by that
 * name, and nothing has been called), or holds something other than a table of tensors
 */
export async function openPytorch(source: ByteSource): Promise<Map<string, StoredTensor>> {
  const refuse: Refuse = (why) => {
    throw new UserError(`${source.name} is not a sound PyTorch checkpoint: ${tame(why)}`);
  };
  const head = await source.read(0, Math.min(source.size, 512));
  const text = new TextDecoder("latin1").decode(head);
  if (text.startsWith("version https://git-lfs")) {
    refuse("it is a Git LFS pointer; download the file that it stands for");
  }
  if (text.startsWith("ustar", 257)) {
    refuse("it has the tar form of early versions of PyTorch; load it in PyTorch and save it anew");
  }
  const { content, begins } = text.startsWith("PK")
    ? await openArchive(source, refuse)
    : await openSequence(source, refuse);

  const tensors = new Map<string, StoredTensor>();
  for (const [name, view] of stateDict(content, source.name, refuse)) {
    tensors.set(name, view.stored(source, begins.get(view.storage.key)!));
  }
  return tensors;
}

/** The zip form: `<directory>/data.pkl`, and each storage as `<directory>/data/<key>`. */
async function openArchive(source: ByteSource, refuse: Refuse): Promise<Checkpoint> {
  const files = await openZip(source, refuse);
  const pickles = [...files.keys()].filter((name) => /^[^/]*\/data\.pkl$/.test(name));
  if (pickles.length !== 1) refuse(`it is an archive with ${pickles.length} files data.pkl, not 1`);
  const directory = pickles[0].slice(0, -"data.pkl".length);
  const read = (file: ArchivedFile, most: number) => {
    const size = file.end - file.begin;
    if (size > most) refuse(`its description has ${size} bytes, more than the limit of ${most}`);
    return source.read(file.begin, file.end);
  };

  const byteOrder = files.get(`${directory}byteorder`);
  if (byteOrder) {
    const order = new TextDecoder().decode(await read(byteOrder, 16));
    if (order !== "little") refuse(`its byte order is ${order}, where only little is read`);
  }
  const { host, storages } = rebuildingHost(refuse, refuseGlobal(source.name));
  const pickle = await read(files.get(pickles[0])!, maximumPickleBytes);
  const { value: content } = unpickle(pickle, 0, host, refuse);

  const begins = new Map<string, number>();
  for (const storage of storages.values()) {
    const file = files.get(`${directory}data/${storage.key}`);
    if (!file) return refuse(`its storage ${storage.key} is missing`);
    const size = file.end - file.begin;
    if (size !== storage.bytes) {
      refuse(`its storage ${storage.key} has ${size} bytes where ${storage.bytes} are described`);
    }
    begins.set(storage.key, file.begin);
  }
  return { content, begins };
}

const magicNumber = 0x1950a86a20f9469cfc6cn;
const protocolVersion = 1001;

/**
 * The form before 1.6: five pickles (magic number, version, the writing machine, the content, the keys
 * of its storages), then the storages in the order of their keys, each after its number of elements.
 */
async function openSequence(source: ByteSource, refuse: Refuse): Promise<Checkpoint> {
  const head = await source.read(0, Math.min(source.size, maximumPickleBytes));
  const { host, storages } = rebuildingHost(refuse, refuseGlobal(source.name));
  const refuseKind = () => refuse("it is neither a zip archive nor begins with a magic number");
  const magic = unpickle(head, 0, host, refuseKind);
  if (magic.value !== magicNumber) refuseKind();
  let at = magic.end;
  const next = () => {
    const { value, end } = unpickle(head, at, host, refuse);
    at = end;
    return value;
  };
  const version = next();
  if (version !== protocolVersion) refuse(`its version is not ${protocolVersion}`);
  next(); // The writing machine's sizes: storages are little-endian whatever it was.
  const content = next();
  const keys = next();
  if (!Array.isArray(keys)) return refuse("it has no list of its storages");

  const begins = new Map<string, number>();
  for (const key of keys) {
    const storage = storages.get(key);
    if (!storage || begins.has(key)) {
      // A key that is no text may be a structure that takes forever to print.
      return refuse("it lists a storage twice, or one that no tensor needs");
    }
    const begin = at + 8;
    const left = source.size - begin;
    if (storage.bytes > left) {
      refuse(
        `its storage ${key} needs ${storage.bytes} bytes but ${left} are left: is it truncated?`,
      );
    }
    const prefix = await source.read(at, begin);
    const count = new DataView(prefix.buffer, prefix.byteOffset, 8).getBigInt64(0, true);
    if (count !== BigInt(storage.length)) {
      refuse(`its storage ${key} has ${count} elements where ${storage.length} are described`);
    }
    begins.set(key, begin);
    at = begin + storage.bytes;
  }
  for (const key of storages.keys()) {
    if (!begins.has(key)) refuse(`its storage ${key} is missing`);
  }
  if (at !== source.size) refuse(`its last ${source.size - at} bytes belong to no tensor`);
  return { content, begins };
}

/** The table of tensors that a checkpoint is or, if nothing else in it could be meant, has. */
function stateDict(content: unknown, file: string, refuse: Refuse): [string, TensorView][] {
  if (!(content instanceof Map)) return refuse("it holds something other than a table of tensors");
  const entries = entriesOf(content);
  if (entries.every(isTensorEntry)) return entries;

  const tables = tablesIn(entries);
  if (tables.length === 1) return tables[0];
  const remedy = "load it in PyTorch and save only the state_dict of the model";
  if (entries.some(isTensorEntry)) {
    const [name] = entries.find((entry) => !isTensorEntry(entry))!;
    throw new UserError(`${file} has ${tame(String(name))}, which is not a tensor: ${remedy}`);
  }
  const names = tame(entries.map(([name]) => name).join(", "));
  throw new UserError(`${file} has no tensors, but the entries ${names}: ${remedy}`);
}

/** What training scripts call the state_dict of their model, or what it is in. */
const wrappings: readonly unknown[] = ["state_dict", "model_state_dict", "model", "module"];

/** The tables of tensors under such names, one in another too. */
function tablesIn(entries: readonly Entry[], depth = 0): [string, TensorView][][] {
  return entries.flatMap(([name, value]) => {
    if (!wrappings.includes(name) || !(value instanceof Map)) return [];
    const inner = entriesOf(value);
    if (inner.every(isTensorEntry)) return [inner];
    return depth < 2 ? tablesIn(inner, depth + 1) : [];
  });
}

type Entry = [name: unknown, value: unknown];

/**
 * Its items, but for what is no table of anything and has no place in a model: the versions of its modules,
 * which some tools leave among them, and, beside tensors, numbers, text and what was not made.
 */
function entriesOf(table: Map<unknown, unknown>): Entry[] {
  const entries = [...table].filter(([name]) => name !== "_metadata");
  if (!entries.some(isTensorEntry)) return entries;
  return entries.filter(([, value]) =>
    typeof value === "object" && value !== null && !(value instanceof Inert)
  );
}

const isTensorEntry = (entry: Entry): entry is [string, TensorView] =>
  typeof entry[0] === "string" && entry[1] instanceof TensorView;

const refuseGlobal = (file: string) => (name: string): never => {
  throw new UserError(
    `${file} asks to run ${tame(name)}: nothing was run, for only tensors are read. It may be ` +
      "hostile: get the checkpoint as safetensors",
  );
};

/** Names come from the file: none may move the terminal's cursor or fill the screen. */
const tame = (text: string): string => text.replace(/\p{C}+/gu, " ").slice(0, 300);
