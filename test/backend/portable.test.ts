import { PortableBackend } from "../../src/fs/portable/portable-backend.ts";
import { backendContract } from "./contract.ts";

backendContract("portable", () => new PortableBackend("test"));
