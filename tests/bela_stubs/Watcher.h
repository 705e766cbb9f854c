// What the sketches of bela-code/ use of the Watcher library: every assignment is printed, as
// `name type mode tick value`.
#pragma once

#include <cstdint>
#include <iostream>
#include <string>
#include <vector>

struct DataBuffer
{
	std::vector<float> values;
	float* getAsFloat() { return values.data(); }
};

struct Gui
{
	std::vector<DataBuffer> buffers;
	unsigned int setBuffer(char type, unsigned int size)
	{
		buffers.push_back({std::vector<float>(type == 'f' ? size : 0)});
		return buffers.size() - 1;
	}
	DataBuffer& getDataBuffer(unsigned int id) { return buffers.at(id); }
	int setup(const std::string& projectName, unsigned int port = 5555) { return projectName.empty() || port == 0; }
};

class WatcherManager
{
public:
	enum TimestampMode { kTimestampBlock, kTimestampSample };

	void setup(float sampleRate) { std::cout << "rate " << sampleRate << "\n"; }
	Gui& getGui() { return gui_; }
	void tick(uint64_t tick) { tick_ = tick; }
	uint64_t tick() const { return tick_; }

private:
	Gui gui_;
	uint64_t tick_ = 0;
};

inline WatcherManager* Bela_getDefaultWatcherManager()
{
	static WatcherManager manager;
	return &manager;
}

inline char typeLetter(char) { return 'c'; }
inline char typeLetter(unsigned int) { return 'j'; }
inline char typeLetter(int) { return 'i'; }
inline char typeLetter(float) { return 'f'; }
inline char typeLetter(double) { return 'd'; }

template <typename T>
class Watcher
{
public:
	Watcher(const std::string& name,
		WatcherManager::TimestampMode mode = WatcherManager::kTimestampBlock)
	: name_(name), isSparse_(mode == WatcherManager::kTimestampSample) {}
	Watcher(const Watcher&) = delete;
	Watcher& operator=(const Watcher&) = delete;

	const T& operator=(const T& value)
	{
		value_ = value;
		std::cout << name_ << " " << typeLetter(value) << (isSparse_ ? " sparse " : " dense ")
			<< Bela_getDefaultWatcherManager()->tick() << " " << +value << "\n";
		return value_;
	}
	operator T() const { return value_; }

private:
	std::string name_;
	bool isSparse_;
	T value_ = 0;
};
