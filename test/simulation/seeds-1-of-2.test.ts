import { testSeeds } from "./many-seeds.ts";

testSeeds(0, 2);
