// A sync pulse on a digital output, offered through Watcher beside what a digital input reads.
//
// Wire the output to the trigger input of another device, and to the digital input of this board.
// A recording of both devices then has the same pulses twice, and `dp-bela report` finds the lag
// between them. The pulses come once a second, but at uneven intervals, so that no pulse can be
// taken for its neighbour.

#include <Bela.h>
#include <Watcher.h>
#include <cstdio>

Watcher<char> gSync("sync");
Watcher<char> gSyncIn("sync_in");

static constexpr unsigned int kOutputChannel = 0;
static constexpr unsigned int kInputChannel = 1;
static constexpr float kPulseSeconds = 0.01f;
static constexpr float kSlotSeconds = 1.f;
static constexpr float kLatestOnset = 0.4f; // share of a slot: intervals are 0.6 s to 1.4 s

static unsigned int gPulseFrames = 0;
static unsigned int gSlotFrames = 0;
static unsigned int gFrameInSlot = 0;
static unsigned int gOnsetFrame = 0;
static unsigned int gRandom = 2463534242u;

// Where in its slot the next pulse begins: Marsaglia's xorshift, the same sequence at every start.
static unsigned int nextOnset()
{
	gRandom ^= gRandom << 13;
	gRandom ^= gRandom >> 17;
	gRandom ^= gRandom << 5;
	return (gRandom >> 8) / 16777216.f * kLatestOnset * gSlotFrames;
}

bool setup(BelaContext* context, void*)
{
	if(context->digitalFrames != context->audioFrames || context->digitalChannels <= kInputChannel)
	{
		fprintf(stderr, "Turn the digital channels on in the project's settings.\n");
		return false;
	}
	pinMode(context, 0, kOutputChannel, OUTPUT);
	pinMode(context, 0, kInputChannel, INPUT);
	gPulseFrames = kPulseSeconds * context->audioSampleRate;
	gSlotFrames = kSlotSeconds * context->audioSampleRate;
	gOnsetFrame = nextOnset();

	WatcherManager* watchers = Bela_getDefaultWatcherManager();
	watchers->getGui().setup(context->projectName);
	watchers->setup(context->audioSampleRate);
	return true;
}

void render(BelaContext* context, void*)
{
	for(unsigned int n = 0; n < context->audioFrames; ++n)
	{
		// First the tick, then the values: they belong to this frame.
		Bela_getDefaultWatcherManager()->tick(context->audioFramesElapsed + n);

		const bool on = gFrameInSlot >= gOnsetFrame && gFrameInSlot < gOnsetFrame + gPulseFrames;
		digitalWriteOnce(context, n, kOutputChannel, on);
		gSync = on;
		gSyncIn = digitalRead(context, n, kInputChannel);

		if(++gFrameInSlot == gSlotFrames)
		{
			gFrameInSlot = 0;
			gOnsetFrame = nextOnset();
		}
	}
}

void cleanup(BelaContext*, void*)
{
}
