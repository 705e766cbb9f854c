// Commands from the computer: a level that drives two outputs, and the proof of when it did.
//
// The computer sends buffers of two floats: a sequence number and a level. The sketch copies the
// number to the sparse variable `echo` in the audio block in which it sees it, so that the tick of
// `echo` tells when the command took effect. The level sets the loudness of a tone on the first
// audio output, and digital output 0 changes with each command, for an oscilloscope.

#include <Bela.h>
#include <Watcher.h>
#include <cmath>

Watcher<int> gEcho("echo", WatcherManager::kTimestampSample);
Watcher<float> gLevel("level");

static constexpr unsigned int kCommandNumbers = 2; // sequence number, level
static constexpr unsigned int kOutputChannel = 0;
static constexpr float kToneHz = 440.f;

static unsigned int gBufferId = 0;
static float gLastNumber = 0.f; // the computer never sends 0
static float gPhase = 0.f;
static bool gIsOn = false;
static bool gHasDigital = false;

bool setup(BelaContext* context, void*)
{
	gHasDigital = context->digitalFrames && context->digitalChannels > kOutputChannel;
	if(gHasDigital)
		pinMode(context, 0, kOutputChannel, OUTPUT);

	WatcherManager* watchers = Bela_getDefaultWatcherManager();
	watchers->getGui().setup(context->projectName);
	gBufferId = watchers->getGui().setBuffer('f', kCommandNumbers); // the first one: its id is 0
	watchers->setup(context->audioSampleRate);
	return true;
}

void render(BelaContext* context, void*)
{
	WatcherManager* watchers = Bela_getDefaultWatcherManager();
	const float* command = watchers->getGui().getDataBuffer(gBufferId).getAsFloat();
	const float number = command[0];
	const float level = command[1];
	const bool isNew = number != gLastNumber;
	gLastNumber = number;
	if(isNew)
		gIsOn = !gIsOn;
	if(gHasDigital)
		digitalWrite(context, 0, kOutputChannel, gIsOn); // from here on, for all that follows

	for(unsigned int n = 0; n < context->audioFrames; ++n)
	{
		// First the tick, then the values: they belong to this frame.
		watchers->tick(context->audioFramesElapsed + n);
		// At the last frame: its time is that at which this block is computed.
		if(isNew && n + 1 == context->audioFrames)
			gEcho = (int)number;
		gLevel = level;

		audioWrite(context, n, 0, level * sinf(gPhase));
		gPhase += 2.f * (float)M_PI * kToneHz / context->audioSampleRate;
		if(gPhase > (float)M_PI)
			gPhase -= 2.f * (float)M_PI;
	}
}

void cleanup(BelaContext*, void*)
{
}
