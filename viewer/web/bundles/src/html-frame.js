// Goes with a notebook's own HTML into its frame.
import { tellHeight } from "./height.js";
tellHeight();
