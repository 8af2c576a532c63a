// The script of the pages. They can be read without it; it follows what changes and helps the reader.
import { startTimes } from "./times.js";
import { followLists, followLog, followRun } from "./follow.js";
import { startReader } from "./reader.js";
import { startButtons } from "./buttons.js";
import { startForm } from "./form.js";
import { startFinder } from "./finder.js";

startTimes();
startReader();
startFinder();
startButtons();
startForm();
followRun();
followLists();
followLog();
