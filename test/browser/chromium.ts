/** Headless Chromium with WebGPU, all of it from npm: the browser, its libraries, its software GPU. */
import { cachedDirectory } from "../../src/platform/cache.ts";
import { decompress, packageDirectory, unpack } from "../../src/platform/npm.ts";
import { CHROMIUM } from "../../src/platform/swiftshader.ts";

const PLAYWRIGHT = "npm:playwright-core@1.65.1";

/** The parts of playwright's interface in use here; its own types would make it everybody's download. */
export interface Browser {
  newPage(): Promise<Page>;
  close(): Promise<void>;
}

/** A page of `Browser`. */
export interface Page {
  route(
    url: string,
    handler: (route: { fulfill(response: { contentType: string; body: string }): void }) => void,
  ): Promise<void>;
  goto(url: string): Promise<unknown>;
  evaluate<Argument, Result>(
    run: (argument: Argument) => Promise<Result>,
    argument: Argument,
  ): Promise<Result>;
  on(event: "pageerror", listener: (error: Error) => void): void;
}

/** Starts Chromium, downloading it (68 MB) at the first use. */
export async function launchChromium(): Promise<Browser> {
  const directory = await installChromium();
  const { chromium } = await import(`file://${await packageDirectory(PLAYWRIGHT)}/index.mjs`);
  return await chromium.launch({
    executablePath: `${directory}/chromium`,
    args: ["--no-sandbox", "--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader"],
    env: {
      ...Deno.env.toObject(),
      // The libraries Chromium needs beyond glibc, so that nothing has to be installed.
      LD_LIBRARY_PATH: `${directory}/lib`,
      // Whatever driver this machine's Vulkan programs are told to use.
      VK_DRIVER_FILES: `${directory}/vk_swiftshader_icd.json`,
      VK_ICD_FILENAMES: `${directory}/vk_swiftshader_icd.json`,
    },
  });
}

function installChromium(): Promise<string> {
  return cachedDirectory(`chromium-${CHROMIUM.split("@").at(-1)}`, async (directory) => {
    console.error("Fetching Chromium from npm (68 MB, once) …");
    const source = `${await packageDirectory(CHROMIUM)}/bin`;
    const browser = await decompress(`${source}/chromium.br`);
    await Deno.writeFile(`${directory}/chromium`, browser, { mode: 0o755 });
    await unpack(`${source}/al2023.tar.br`, directory);
    await unpack(`${source}/swiftshader.tar.br`, directory);
  });
}
